"""Measure the images of one run (rule measure_run)."""

from pathlib import Path

from lmrep.workflow.job import job_log
from lmrep.metrics.measures import ACCURACY_COLUMNS, PATCHES_COLUMNS, accuracy, patches, write_table
from lmrep.files import read_arrays

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    run = read_arrays(Path(snakemake.input[0]))
    rows = accuracy(run) if run.facts["objective"] == "match" else []
    write_table(Path(snakemake.output.accuracy), ACCURACY_COLUMNS, rows)
    write_table(Path(snakemake.output.patches), PATCHES_COLUMNS, patches(run))
    print(f"measured {run['images'].shape[:2]} images by layer and panel", file=log)
