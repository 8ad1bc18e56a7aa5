"""Write the rules of all claims and the verdicts of every study that has been judged (rule document_claims)."""

from pathlib import Path

from lmrep.errors import InputError
from lmrep.figures.claims import draw_claims
from lmrep.figures.page import save_figure
from lmrep.figures.shown import Shown
from lmrep.files import replacing
from lmrep.metrics.claims.page import document
from lmrep.metrics.claims.words import of_all_studies, tally_text
from lmrep.metrics.reading import read_claims
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    studies = {Path(path).parent.name: read_claims(Path(path)) for path in snakemake.input}
    with replacing(Path(snakemake.output.page)) as part:
        part.write_text(document(studies))
    try:
        drawn = draw_claims(Shown("The article's sentences", {}, {}, claims=of_all_studies(studies)))
    except ValueError as error:
        raise InputError(f"{snakemake.output.figure}: {error}") from None
    save_figure(drawn, Path(snakemake.output.figure))
    for study, claims in studies.items():
        print(f"{study}: {tally_text(claims)}", file=log)
