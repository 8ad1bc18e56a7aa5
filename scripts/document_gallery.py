"""Write a page of every figure of the studies in this folder, with small copies of them (rule document_gallery)."""

from pathlib import Path

from lmrep.figures.gallery import gallery, read_study
from lmrep.files import replacing
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    page, folder = Path(snakemake.output.page), Path(snakemake.output.pictures)
    results = sorted({Path(path).parent for path in snakemake.input if Path(path).name == "study.json"})
    studies = [read_study(each, folder, page) for each in results]
    for study, pictures, _ in studies:
        print(f"{study.name}: {len(pictures)} figures", file=log)
    with replacing(page) as part:
        part.write_text(gallery(studies))
