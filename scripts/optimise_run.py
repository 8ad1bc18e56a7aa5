"""Perform one run (rule optimise_run)."""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from lmrep.errors import InputError, job_log
from lmrep.experiment import perform
from lmrep.images import load_target
from lmrep.plan import make_plan, pick_device, settle
from lmrep.progress import progress
from lmrep.runfile import write_arrays
from lmrep.spec import run_from_settings

snakemake = globals()["snakemake"]
settle(snakemake.params.threads)  # not snakemake.threads, which --cores caps
run = run_from_settings(json.loads(snakemake.params.settings))
fits = json.loads(snakemake.params.fits)
files = {Path(path).stem: Path(path) for path in snakemake.input.weights}
size = run.probe.stem.size
with job_log(snakemake.log[0]) as log:
    targets = [load_target(Path(path), size, fit) for path, fit in zip(snakemake.input.images, fits, strict=True)]
    plan = make_plan(run, pick_device(snakemake.params.device))
    try:
        with progress(run.name, run.descent.steps * len(plan.groups), sys.stderr, log) as report:
            arrays, facts = perform(run, files, np.stack(targets) if targets else None, plan, report)
    except FloatingPointError as error:
        raise InputError(f"runs.{run.name}: {error}") from None
    except torch.OutOfMemoryError as error:
        raise InputError(f"runs.{run.name}: {plan.device} is out of memory: expected a smaller memory") from error
    write_arrays(Path(snakemake.output[0]), arrays, facts)
