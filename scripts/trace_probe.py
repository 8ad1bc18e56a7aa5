"""Follow an image through a probe (rule trace_probe)."""

import json
from pathlib import Path

import torch

from lmrep.descent.plan import settle
from lmrep.files import write_arrays
from lmrep.inputs.images import load_target
from lmrep.inputs.paths import paths_of
from lmrep.probe.probe import load_probe
from lmrep.probe.trace import trace
from lmrep.study.config import make_study
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    study = make_study(snakemake.config)
    settle(study.threads)
    figure = study.figures[snakemake.wildcards.figure]
    run = study.runs[figure.runs[0]]
    depth, trained = max(run.layers), run.weights == "trained"
    probe = load_probe(run.probe, paths_of(run), depth, torch.device("cpu"), run.seed, trained)
    image = load_target(Path(snakemake.input.image), run.probe.stem.size, study.images[figure.image].fit)
    arrays, facts = trace(probe, run.layers, image)
    write_arrays(Path(snakemake.output[0]), arrays, facts | json.loads(snakemake.params.maximised))
    print(f"traced {figure.image} to blocks {run.layers}", file=log)
