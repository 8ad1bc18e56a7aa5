"""Draw the verdicts of every study that has been judged on one page (rule draw_verdicts)."""

from pathlib import Path

from lmrep.errors import InputError
from lmrep.figures.claim_rows import most_models
from lmrep.figures.claims import draw_claims
from lmrep.figures.page import save_figure
from lmrep.figures.shown import Shown
from lmrep.metrics.claims.words import of_all_studies
from lmrep.metrics.reading import read_claims
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    studies = {Path(path).parent.name: read_claims(Path(path)) for path in snakemake.input}
    entries, left_out = of_all_studies(studies, most_models())
    try:
        drawn = draw_claims(Shown("The article's sentences", {}, {}, claims=entries))
    except ValueError as error:
        raise InputError(f"{snakemake.output[0]}: {error}") from None
    save_figure(drawn, Path(snakemake.output[0]))
    print(f"left out, since the page is too narrow: {', '.join(left_out) or 'nothing'}", file=log)
