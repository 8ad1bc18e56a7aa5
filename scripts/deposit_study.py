"""Write a finished study as one file to deposit (rule deposit_study)."""

from pathlib import Path

from lmrep.study.config import make_study
from lmrep.workflow.crate import write_crate
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    path, times = Path(snakemake.output[0]), sorted(Path(snakemake.params.times).rglob("*.tsv"))
    runs = [Path(run) for run in snakemake.input.runs]
    products = [file for file in map(Path, dict.fromkeys(snakemake.input)) if file not in runs]
    study, root = make_study(snakemake.config), Path(snakemake.params.root).resolve()
    files = write_crate(path, study, snakemake.config, root, runs, [*products, *times])
    print(f"{files} files, {path.stat().st_size / 1e6:.0f} MB", file=log)
