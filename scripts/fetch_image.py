"""Fetch one target image, verify it, keep it as a PNG (rule fetch_image)."""

import json
from pathlib import Path

from lmrep.inputs.image_sources import SOURCES, fetch_image
from lmrep.workflow.job import job_log
from lmrep.study.spec import Image

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    image = Image(**json.loads(snakemake.params.image))
    width, height = fetch_image(image, Path(snakemake.output[0]))
    source = next(f"{source} {getattr(image, source)}" for source in SOURCES if getattr(image, source))
    print(f"{image.name}: {source}, {width} x {height} px", file=log)
