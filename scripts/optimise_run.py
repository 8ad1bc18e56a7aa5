"""Perform one run, or a shard of one (rules optimise_run, optimise_shard)."""

from pathlib import Path

from lmrep.inputs.paths import paths_of
from lmrep.study.config import make_study
from lmrep.study.cost import shards
from lmrep.workflow.job import job_log
from lmrep.workflow.optimise import optimise

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    study = make_study(snakemake.config)
    run = study.runs[snakemake.wildcards.run]
    run = shards(run, study.jobs_per_run, study.speed)[int(snakemake.wildcards.get("shard", 1)) - 1]
    images = [Path(path) for path in snakemake.input.images]
    optimise(study, run, paths_of(run), images, Path(snakemake.output[0]), snakemake.params.code, log)
