"""Fetch one target image, verify it, keep it as a PNG (rule fetch_image)."""

from pathlib import Path

from lmrep.inputs.image_sources import fetch_image
from lmrep.inputs.network import shown
from lmrep.study.config import make_study
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    name = snakemake.wildcards.kept.rpartition("-")[0]
    image = make_study(snakemake.config).images[name]
    width, height = fetch_image(image, Path(snakemake.output[0]))
    print(f"{image.name}: {shown(image.source)}, {width} x {height} px", file=log)
