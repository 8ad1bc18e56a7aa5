"""Write a page of every figure of the studies in this folder, with small copies of them (rule document_gallery)."""

import os
import shutil
from pathlib import Path

from lmrep.figures.gallery import gallery
from lmrep.files import replacing
from lmrep.metrics.reading import read_claims
from lmrep.study.record import read_recorded
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    page, folder, studies = Path(snakemake.output.page), Path(snakemake.output.pictures), []
    for results in sorted({Path(path).parent for path in snakemake.input if Path(path).name == "study.json"}):
        study = read_recorded(results / "study.json")
        kept, claims = folder / study.name, results / "claims.json"
        kept.mkdir(parents=True)
        pictures = {}
        for figure in study.figures:
            for drawn in sorted((results / "web").glob(f"{figure}.*.jpg"))[:1]:
                shutil.copyfile(drawn, kept / f"{figure}.jpg")
                pictures[figure] = os.path.relpath(kept / f"{figure}.jpg", page.parent)
        studies.append((study, pictures, read_claims(claims) if claims.exists() else []))
        print(f"{study.name}: {len(pictures)} figures", file=log)
    with replacing(page) as part:
        part.write_text(gallery(studies))
