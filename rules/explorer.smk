# One page without network to look through all pictures of a study, with its claims.
from lmrep.provenance import file_sha256


localrules:
    draw_explorer,


PAGE = sorted(Path(workflow.basedir, "figures/explorer").iterdir())  # template, style, script


rule draw_explorer:
    input:
        runs=[run_path(run) for run in study.runs_of("evidence")],
        accuracy=[table_path("accuracy", run) for run in study.runs_of("evidence")],
        claims=rules.judge_claims.output.claims,
    output:
        report(f"{own('figures')}/explorer.html", caption="../figures/captions/explorer.rst", category="Explorer"),
    log:
        f"{LOGS}/draw_explorer.log",
    benchmark:
        f"{BENCHMARKS}/draw_explorer.tsv"
    retries: 0
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        study=as_param({key: config[key] for key in CLAIM_KEYS}),
        page=as_param({path.name: file_sha256(path) for path in PAGE}),
        code=code_digest("lmrep.figures.explorer.page", script="scripts/draw_explorer.py"),
    message:
        "Putting all pictures of {config[study]} on a page to look through"
    script:
        "../scripts/draw_explorer.py"
