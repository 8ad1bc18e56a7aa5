"""Put the layers of one run together (rule merge_shards)."""

from pathlib import Path

from lmrep.descent.checkpoint import forget_state
from lmrep.files import merge_layers, write_arrays
from lmrep.metrics.reading import made_again, read_run
from lmrep.study.config import make_study
from lmrep.study.cost import shards
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
paths = [Path(path) for path in snakemake.input]
with job_log(snakemake.log[0]) as log:
    study = make_study(snakemake.config)
    whole = study.runs[snakemake.wildcards.run]
    parts = shards(whole, study.jobs_per_run, study.speed)
    found = [read_run(path, part) for path, part in zip(paths, parts, strict=True)]
    with made_again(paths[0].parent):
        run = merge_layers(found, whole.layers)
    write_arrays(Path(snakemake.output[0]), run.arrays, run.facts)
    for path in paths:
        forget_state(path)
    print(f"merged {len(paths)} files of blocks {run.facts['layers']}", file=log)
