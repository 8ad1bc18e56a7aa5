"""Measure the images of one run (rule measure_run)."""

from pathlib import Path

from lmrep.files import read_arrays
from lmrep.metrics.tables import TABLES, accuracy, patches, write_table
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    run = read_arrays(Path(snakemake.input[0]))
    run.facts["probe"] = snakemake.params.probe  # the run may be older than the probe's name
    for table, rows in (("accuracy", accuracy(run)), ("patches", patches(run))):
        write_table(Path(snakemake.output[table]), TABLES[table], rows)
    print(f"measured {run['images'].shape[:2]} images by layer and panel", file=log)
