"""Draw the panels of one run, block by block (rule draw_features)."""

import json
from pathlib import Path

from lmrep.figures.grids import draw_features
from lmrep.workflow.job import job_log
from lmrep.files import read_arrays
from lmrep.figures.page import save_figure

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    run = read_arrays(Path(snakemake.input[0]))
    label = json.loads(snakemake.params.labels)[run.facts["run"]]
    save_figure(draw_features(run, snakemake.params.title, label), Path(snakemake.output[0]))
    print(f"drew {run.facts['run']}", file=log)
