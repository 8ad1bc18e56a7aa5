"""Give each sentence of the article a number and a verdict for each model (rule judge_claims)."""

import json
from itertools import chain
from pathlib import Path

from lmrep.files import replacing
from lmrep.metrics.candidates import candidate_runs, read_candidates
from lmrep.metrics.claims.cells import READ, read_cells, runs_read
from lmrep.metrics.claims.judge import judge, tally
from lmrep.metrics.claims.page import claims_page
from lmrep.metrics.reading import read_run_table
from lmrep.study.config import make_study
from lmrep.workflow.job import job_log

snakemake = globals()["snakemake"]
with job_log(snakemake.log[0]) as log:
    study = make_study(snakemake.config)
    compared = candidate_runs(study).values()
    parts = {"candidates": map(read_candidates, map(Path, snakemake.input.candidates), compared)}
    for name in READ.keys() - parts.keys():
        runs = runs_read(study, name)
        parts[name] = map(read_run_table, map(Path, snakemake.input[name]), [name] * len(runs), runs)
    claims = judge(study, {name: read_cells(name, chain.from_iterable(rows)) for name, rows in parts.items()})
    with replacing(Path(snakemake.output.claims)) as part:
        part.write_text(json.dumps(claims, indent=2) + "\n")
    with replacing(Path(snakemake.output.page)) as part:
        part.write_text(claims_page(study.name, claims))
    print(", ".join(f"{count} {verdict}" for verdict, count in tally(claims).items()), file=log)
