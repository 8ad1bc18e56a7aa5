"""Train one of the shipped models (rule train_model)."""

import json
import sys
from pathlib import Path

import torch
import yaml

from lmrep.miniature.train import train
from lmrep.progress import progress
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
torch.set_num_threads(snakemake.threads)
name = snakemake.wildcards.model
recipe = yaml.safe_load(Path(snakemake.input.recipe).read_text())
with (
    job_log(snakemake.log[0]) as log,
    progress(name, recipe["models"][name]["steps"], sys.stderr, log) as report,
):
    card = train(recipe, name, Path(snakemake.output.weights), report)
Path(snakemake.output.card).write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")
