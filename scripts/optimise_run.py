"""Perform one run, or those layers of it that are one job's (rules optimise_run, optimise_shard)."""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lmrep.workflow.gpus import own_card
from lmrep.descent.checkpoint import Checkpoint
from lmrep.errors import InputError
from lmrep.descent.experiment import conditions, describe, perform, state_arrays
from lmrep.inputs.images import load_target
from lmrep.workflow.job import job_log, tell
from lmrep.descent.plan import make_plan, pick_device, settle
from lmrep.progress import progress
from lmrep.files import write_arrays
from lmrep.study.spec import run_from_settings

snakemake = globals()["snakemake"]
settle(snakemake.params.threads)  # not snakemake.threads, which --cores caps
run = run_from_settings(json.loads(snakemake.params.settings))
fits = json.loads(snakemake.params.fits)
files = {Path(path).stem: Path(path) for path in snakemake.input.weights}
size = run.probe.stem.size
with job_log(snakemake.log[0]) as log, own_card(pick_device(snakemake.params.device), partial(tell, log)) as device:
    targets = [load_target(Path(path), size, fit) for path, fit in zip(snakemake.input.images, fits, strict=True)]
    targets = np.stack(targets) if targets else None
    plan = make_plan(run, device)
    facts = describe(run, files, plan)
    checkpoint = Checkpoint(
        Path(snakemake.params.state),
        snakemake.config["checkpoint"],  # not a param: how often a state is written changes no result
        conditions(facts, plan, targets, snakemake.params.code),
        state_arrays(run),
        partial(tell, log),
    )
    steps = run.descent.steps * len(plan.groups)
    try:
        with progress(run.name, steps, sys.stderr, log, taken=checkpoint.step) as report:
            arrays = perform(run, files, targets, plan, report, checkpoint)
    except FloatingPointError as error:
        raise InputError(f"runs.{run.name}: {error}") from None
    except torch.OutOfMemoryError as error:
        raise InputError(f"runs.{run.name}: {plan.device} is out of memory: expected a smaller memory") from error
    write_arrays(Path(snakemake.output[0]), arrays, facts)
