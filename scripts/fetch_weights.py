"""Bring one weight file to the study, verified (rule fetch_weights)."""

import json
from pathlib import Path

from lmrep.workflow.job import job_log
from lmrep.study.spec import Weights
from lmrep.inputs.weights import fetch, hub_url

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    weights = Weights(**json.loads(snakemake.params.weights))
    found = fetch(weights, Path(snakemake.output[0]), Path(snakemake.params.lock))
    source = weights.path or hub_url(weights)
    print(f"{weights.name}: sha256 {found['sha256']}, {found['bytes']} bytes, from {source}", file=log)
