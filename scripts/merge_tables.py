"""Put the tables of all runs one below the other (rule merge_tables)."""

from itertools import chain
from pathlib import Path

from lmrep.metrics.tables import TABLES, read_table, write_table
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    for name, table in TABLES.items():
        parts = [read_table(Path(path), table) for path in snakemake.input[name]]
        write_table(Path(snakemake.output[name]), table, chain.from_iterable(parts))
        print(f"{name}: {sum(map(len, parts))} rows of {len(parts)} runs", file=log)
