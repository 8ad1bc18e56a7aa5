"""Copy the trained models to where they ship from, with their card (rule train_miniature)."""

import json
import shutil
from pathlib import Path

import yaml

from lmrep.miniature.card import model_card
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    folder = Path(snakemake.params.folder)
    for weights in snakemake.input.weights:
        shutil.copy(weights, folder)
        print(f"{folder / Path(weights).name}", file=log)
    cards = {Path(card).stem: json.loads(Path(card).read_text()) for card in snakemake.input.cards}
    recipe = yaml.safe_load(Path(snakemake.input.recipe).read_text())
    (folder / "README.md").write_text(model_card(recipe, cards))
