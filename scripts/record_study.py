"""Write down the config as it was resolved, with defaults and the command line's changes (rule record_study)."""

import json
from pathlib import Path

from lmrep.files import replacing
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    with replacing(Path(snakemake.output[0])) as part:
        part.write_text(json.dumps(snakemake.config, indent=2) + "\n")  # in its order: figures are shown in it
    print(f"recorded the study {snakemake.config['study']}", file=log)
