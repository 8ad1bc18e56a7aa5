"""Write down the config as it was resolved, defaults and command line in it (rule record_study)."""

import json
from pathlib import Path

from lmrep.files import replacing
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    study = json.loads(snakemake.params.study)
    with replacing(Path(snakemake.output[0])) as part:
        part.write_text(json.dumps(study, indent=2, sort_keys=True) + "\n")
    print(f"recorded the study {study['study']}", file=log)
