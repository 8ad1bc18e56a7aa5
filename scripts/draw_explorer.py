"""Put all pictures of a study and its claims on a page to look through (rule draw_explorer)."""

from pathlib import Path

from lmrep.figures.explorer.page import explorer_page
from lmrep.files import replacing
from lmrep.metrics.reading import read_claims, read_run, read_run_table
from lmrep.study.config import make_study
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    study = make_study(snakemake.config)
    runs = [study.runs[name] for name in study.runs_of("evidence")]
    files = zip(runs, map(Path, snakemake.input.runs), map(Path, snakemake.input.accuracy), strict=True)
    reads = ((run, read_run(path, run), read_run_table(table, "accuracy", run)) for run, path, table in files)
    page = explorer_page(study, reads, read_claims(Path(snakemake.input.claims)))
    with replacing(Path(snakemake.output[0])) as part:
        part.write_text(page, encoding="utf-8")
    print(f"{len(runs)} runs, {len(page) / 1e6:.1f} MB", file=log)
