"""Bring one weight file to the study, verified (rule fetch_weights)."""

from pathlib import Path

from lmrep.inputs.weights import fetch, hub_url
from lmrep.study.config import make_study
from lmrep.workflow.contents import LOCK
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    weights = make_study(snakemake.config).weights[snakemake.wildcards.weights]
    found = fetch(weights, Path(snakemake.output[0]), LOCK)
    source = weights.path or hub_url(weights)
    print(f"{weights.name}: sha256 {found['sha256']}, {found['bytes']} bytes, from {source}", file=log)
