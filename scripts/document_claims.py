"""Write the rules of all claims and the verdicts of every study that has been judged (rule document_claims)."""

from pathlib import Path

from lmrep.files import replacing
from lmrep.metrics.claims.page import document
from lmrep.metrics.claims.words import tally_text
from lmrep.metrics.reading import read_claims
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    studies = {Path(path).parent.name: read_claims(Path(path)) for path in snakemake.input}
    with replacing(Path(snakemake.output[0])) as part:
        part.write_text(document(studies))
    for study, claims in studies.items():
        print(f"{study}: {tally_text(claims)}", file=log)
