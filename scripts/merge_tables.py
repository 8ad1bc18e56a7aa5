"""Put the tables of all runs one below the other (rule merge_tables)."""

import json
from itertools import chain
from pathlib import Path

from lmrep.metrics.reading import read_run_table
from lmrep.metrics.tables import TABLES
from lmrep.metrics.tsv import write_table
from lmrep.study.config import make_study
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    study = make_study(snakemake.config)
    runs = [study.runs[run] for run in json.loads(snakemake.params.runs)]
    for name, table in TABLES.items():
        paths = zip(snakemake.input[name], runs, strict=True)
        parts = [read_run_table(Path(path), name, run) for path, run in paths]
        write_table(Path(snakemake.output[name]), table, chain.from_iterable(parts))
        print(f"{name}: {sum(map(len, parts))} rows of {len(parts)} runs", file=log)
