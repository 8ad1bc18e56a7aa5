"""Draw how much each patch changed (rule draw_importance)."""

import json
from pathlib import Path

from lmrep.figures.charts import draw_importance
from lmrep.workflow.job import job_log
from lmrep.metrics.measures import PATCHES_COLUMNS, read_table
from lmrep.figures.page import save_figure

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    rows = [row for path in snakemake.input for row in read_table(Path(path), PATCHES_COLUMNS)]
    figure = draw_importance(rows, json.loads(snakemake.params.labels), snakemake.params.title)
    save_figure(figure, Path(snakemake.output[0]))
    print(f"drew {len(rows)} rows", file=log)
