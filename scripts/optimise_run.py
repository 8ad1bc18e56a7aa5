"""Perform one run (rule optimise_run)."""

import json
import os
import sys
from pathlib import Path

# Read by CUDA's matrix library when it starts: its deterministic mode needs it.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import torch

from lmrep.errors import InputError, job_log
from lmrep.experiment import perform, pick_device, total_steps
from lmrep.images import load_target
from lmrep.progress import progress
from lmrep.runfile import write_arrays
from lmrep.spec import run_from_settings

snakemake = globals()["snakemake"]
# Not snakemake.threads, which --cores caps: sums are split, and rounded, by the number of threads.
torch.set_num_threads(snakemake.params.threads)
torch.use_deterministic_algorithms(True)
run = run_from_settings(json.loads(snakemake.params.settings))
fits = json.loads(snakemake.params.fits)
files = {Path(path).stem: Path(path) for path in snakemake.input.weights}
size = run.probe.stem.size
with (
    job_log(snakemake.log[0]) as log,
    progress(run.name, total_steps(run), sys.stderr, log) as report,
):
    targets = [load_target(Path(path), size, fit) for path, fit in zip(snakemake.input.images, fits, strict=True)]
    device = pick_device(snakemake.params.device)
    try:
        arrays, facts = perform(run, files, np.stack(targets) if targets else None, device, report)
    except FloatingPointError as error:
        raise InputError(f"runs.{run.name}: {error}") from None
    write_arrays(Path(snakemake.output[0]), arrays, facts)
