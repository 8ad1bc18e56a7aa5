"""Follow an image through a probe (rule trace_probe)."""

import json
from pathlib import Path

import torch

from lmrep.inputs.images import load_target
from lmrep.workflow.job import job_log
from lmrep.files import write_arrays
from lmrep.study.spec import run_from_settings
from lmrep.probe.trace import trace

snakemake = globals()["snakemake"]
torch.set_num_threads(snakemake.threads)
with job_log(snakemake.log[0]) as log:
    run = run_from_settings(json.loads(snakemake.params.settings))
    files = {Path(path).stem: Path(path) for path in snakemake.input.weights}
    image = load_target(Path(snakemake.input.image), run.probe.stem.size, snakemake.params.fit)
    arrays, facts = trace(run, files, image, json.loads(snakemake.params.maximised))
    write_arrays(Path(snakemake.output[0]), arrays, facts)
    print(f"traced {snakemake.input.image} to blocks {run.layers}", file=log)
