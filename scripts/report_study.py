"""Put a finished study on one page (rule report_study)."""

from pathlib import Path

from lmrep.workflow.job import job_log
from lmrep.workflow.report import write_report

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    write_report(snakemake.params.command, ["figures", "evidence"], Path(snakemake.output[0]), log)
