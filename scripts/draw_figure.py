"""Draw a figure of any kind from its runs, tables or trace (rules draw_*)."""

import json
from itertools import chain
from pathlib import Path

from lmrep.errors import InputError
from lmrep.figures.page import save_figure
from lmrep.figures.shown import Shown
from lmrep.files import read_arrays
from lmrep.metrics.tables import TABLES, read_table
from lmrep.study.config import make_study
from lmrep.study.kinds import FIGURES, load
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    figure = make_study(snakemake.config).figures[snakemake.wildcards.figure]
    settings, found = json.loads(snakemake.params.settings), snakemake.input
    settings["labels"] = {run: settings["labels"][run] for run in settings.pop("runs")}  # in the config's order
    runs = [read_arrays(Path(path)) for path in found.get("runs", [])]
    rows = {table: [read_table(Path(path), TABLES[table]) for path in found.get(table, [])] for table in TABLES}
    shown = Shown(
        title=snakemake.params.title,
        runs=dict(zip(figure.runs, runs, strict=bool(runs))),
        tables={table: list(chain.from_iterable(parts)) for table, parts in rows.items()},
        trace=read_arrays(Path(found.trace)) if found.get("trace") else None,
        **settings,
    )
    try:
        drawn = load(FIGURES[figure.kind].function)(shown)
    except ValueError as error:
        raise InputError(f"figures.{figure.name}: {error}") from None
    save_figure(drawn, Path(snakemake.output[0]))
    print(f"drew {', '.join(figure.runs)}", file=log)
