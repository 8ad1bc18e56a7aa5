"""Compare the images of a language model's runs with 20 pictures each (rule compare_candidates)."""

from pathlib import Path

from lmrep.descent.plan import settle
from lmrep.inputs.paths import paths_of
from lmrep.metrics.candidates import CANDIDATES, candidate_runs
from lmrep.metrics.tsv import write_table
from lmrep.study.config import make_study
from lmrep.workflow.candidates import rows_of_runs
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    study = make_study(snakemake.config)
    settle(study.threads)
    runs = candidate_runs(study)[snakemake.wildcards.model]
    weights = {name: path for run in runs for name, path in paths_of(run).items()}
    paths = map(Path, snakemake.input.runs)
    rows = rows_of_runs(dict(zip(paths, runs, strict=True)), weights, study.images)
    write_table(Path(snakemake.output[0]), CANDIDATES, rows)
    print(f"compared the images of {', '.join(run.name for run in runs)}", file=log)
