"""Bring one weight file from the hub to the study, verified (rule fetch_weights)."""

from pathlib import Path

from lmrep.inputs.places import LOCK, weights_place
from lmrep.inputs.weights import fetch, hub_url
from lmrep.study.config import make_study
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
path = Path(snakemake.output[0])
with job_log(snakemake.log[0]) as log:
    pins = make_study(snakemake.config).weights.values()
    weights = next(pin for pin in pins if weights_place(pin) == path)
    found = fetch(weights, path, LOCK)
    print(f"{weights.name}: sha256 {found['sha256']}, {found['bytes']} bytes, from {hub_url(weights)}", file=log)
