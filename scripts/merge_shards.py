"""Put the layers of one run together (rule merge_shards)."""

from pathlib import Path

from lmrep.errors import InputError
from lmrep.files import merge_layers, read_arrays, write_arrays
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
paths = [Path(path) for path in snakemake.input]
with job_log(snakemake.log[0]) as log:
    try:
        run = merge_layers([read_arrays(path) for path in paths])
    except InputError as error:
        raise InputError(f"{error}; delete {paths[0].parent} to make them again") from None
    write_arrays(Path(snakemake.output[0]), run.arrays, run.facts)
    print(f"merged {len(paths)} files of blocks {run.facts['layers']}", file=log)
