"""Put the tables of all runs one below the other (rule merge_tables)."""

from itertools import chain
from pathlib import Path

from lmrep.metrics.tables import TABLES, read_table, write_table
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    for name, columns in TABLES.items():
        tables = [read_table(Path(path), columns) for path in snakemake.input[name]]
        write_table(Path(snakemake.output[name]), columns, chain.from_iterable(tables))
        print(f"{name}: {sum(map(len, tables))} rows of {len(tables)} runs", file=log)
