"""Put the layers of one run together again (rule merge_shards)."""

from pathlib import Path

from lmrep.errors import InputError
from lmrep.workflow.job import job_log
from lmrep.files import merge_layers, read_arrays, write_arrays

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    try:
        run = merge_layers([read_arrays(Path(path)) for path in snakemake.input])
    except InputError as error:
        raise InputError(f"{error}; delete {Path(snakemake.input[0]).parent} to have them made again") from None
    write_arrays(Path(snakemake.output[0]), run.arrays, run.facts)
    print(f"merged {len(snakemake.input)} files of blocks {run.facts['layers']}", file=log)
