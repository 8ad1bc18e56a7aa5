"""Measure the images of one run (rule measure_run)."""

from pathlib import Path

from lmrep.metrics.reading import read_run
from lmrep.metrics.tables import TABLES
from lmrep.metrics.tsv import write_table
from lmrep.study.config import make_study
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    spec = make_study(snakemake.config).runs[snakemake.wildcards.run]
    run = read_run(Path(snakemake.input[0]), spec)
    run.facts["probe"] = snakemake.params.probe  # the run may be older than the probe's name
    for name, table in TABLES.items():
        write_table(Path(snakemake.output[name]), table, table.rows(run))
    print(f"measured {run['images'].shape[:2]} images by layer and panel", file=log)
