"""Draw one image re-created by several runs (rule draw_reconstructions)."""

import json
from pathlib import Path

from lmrep.figures.grids import draw_reconstructions
from lmrep.workflow.job import job_log
from lmrep.metrics.measures import ACCURACY_COLUMNS, read_table
from lmrep.files import read_arrays
from lmrep.figures.page import save_figure

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    labels, layers = json.loads(snakemake.params.labels), json.loads(snakemake.params.layers)
    rows = []
    for path, table in zip(snakemake.input.runs, snakemake.input.tables, strict=True):
        run = read_arrays(Path(path))
        name = run.facts["run"]
        found = read_table(Path(table), ACCURACY_COLUMNS)
        ssim = {row["layer"]: row["ssim"] for row in found if row["image"] == snakemake.params.image}
        rows.append((labels[name], run, layers[name], ssim))
    figure = draw_reconstructions(rows, snakemake.params.image, snakemake.params.title)
    save_figure(figure, Path(snakemake.output[0]))
    print(f"drew {snakemake.params.image} by {', '.join(labels)}", file=log)
