"""Draw a figure of any kind from its runs, tables or trace (rules draw_*)."""

import json
from pathlib import Path

from lmrep.errors import InputError
from lmrep.figures.page import save_figure
from lmrep.figures.shown import Shown
from lmrep.metrics.reading import read_inputs
from lmrep.study.config import make_study
from lmrep.study.kinds import FIGURES, load
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    study = make_study(snakemake.config)
    figure = study.figures[snakemake.wildcards.figure]
    settings = json.loads(snakemake.params.settings)
    inputs = read_inputs(dict(snakemake.input.items()), [study.runs[name] for name in figure.runs])
    shown = Shown(title=snakemake.params.title, **inputs, **settings)
    try:
        drawn = load(FIGURES[figure.kind].function)(shown)
    except ValueError as error:
        raise InputError(f"figures.{figure.name}: {error}") from None
    for path in snakemake.output:
        save_figure(drawn, Path(path))
    print(f"drew {', '.join(figure.runs)}", file=log)
