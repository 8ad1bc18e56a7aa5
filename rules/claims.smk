# The article's sentences: what they need besides the tables, their verdicts, and the page and figure of all studies.
from lmrep.metrics.candidates import candidate_runs
from lmrep.metrics.claims.cells import READ, runs_read


# Seconds each: they are not worth a place in a cluster's queue.
localrules:
    judge_claims,
    document_claims,
    draw_verdicts,


CANDIDATE_RUNS = candidate_runs(study)
# Docstrings say what each claim measures, and the digest of code leaves docstrings out.
STATISTICS = file_digests("lmrep/metrics/claims/*.py")
# What of a config the verdicts and their page name or depend on.
CLAIM_KEYS = ("study", "seed", "weights", "images", "probes", "descents", "runs", "figures")


def candidates_path(model):
    return f"{RESULTS}/candidates/{model}.tsv"


# One job a model: Python and torch take longer to start than a small run takes to compare.
rule compare_candidates:
    input:
        runs=lambda wildcards: [run_path(run.name) for run in CANDIDATE_RUNS[wildcards.model]],
        weights=lambda wildcards: weight_inputs(CANDIDATE_RUNS[wildcards.model]),
    output:
        candidates_path("{model}"),
    log:
        f"{LOGS}/compare_candidates/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/compare_candidates/{{model}}.tsv"
    wildcard_constraints:
        model=one_of(CANDIDATE_RUNS),
    threads: study.threads
    resources:
        mem_mb=lambda wildcards, attempt: max(run_memory(run, attempt) for run in CANDIDATE_RUNS[wildcards.model]),
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        # What else the runs depend on, weights and photographs too, remakes their files.
        identity=lambda wildcards: as_param(
            {run.name: [study.images[name].skimage for name in run.panels] for run in CANDIDATE_RUNS[wildcards.model]}
        ),
        code=lambda wildcards: code_digest(
            "lmrep.workflow.candidates",
            "lmrep.descent.plan",
            *kinds.modules_of(*(kind for run in CANDIDATE_RUNS[wildcards.model] for kind in run.probe.kinds)),
            script="scripts/compare_candidates.py",
        ),
    message:
        "Comparing the images of {wildcards.model} with other pictures"
    script:
        "../scripts/compare_candidates.py"


rule judge_claims:
    input:
        **{table: [table_path(table, run.name) for run in runs_read(study, table)] for table in READ if table in TABLES},
        candidates=[candidates_path(model) for model in CANDIDATE_RUNS],
    output:
        claims=f"{RESULTS}/claims.json",
        page=report(f"{own('figures')}/claims.md", caption="../figures/captions/verdicts.rst", category="Claims"),
    log:
        f"{LOGS}/judge_claims.log",
    benchmark:
        f"{BENCHMARKS}/judge_claims.tsv"
    retries: 0  # what fails in seconds on this machine fails again
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        study=as_param({key: config[key] for key in CLAIM_KEYS}, in_order=True),
        regime=target_regime(study, "figures"),
        optimisers=OPTIMISERS,
        statistics=STATISTICS,
        code=code_digest(
            "lmrep.metrics.claims.judge",
            "lmrep.metrics.claims.page",
            "lmrep.metrics.candidates",
            script="scripts/judge_claims.py",
        ),
    message:
        "Judging the article's sentences by the study {config[study]}"
    script:
        "../scripts/judge_claims.py"


def judged_studies(wildcards):
    """The claims of every study that has been judged in this folder."""
    found = sorted(map(str, Path("results").glob("*/claims.json")))
    return found or refuse("expected a results/<study>/claims.json; build the target evidence first")


rule document_claims:
    input:
        judged_studies,
    output:
        "docs/claims.md",
    log:
        f"{LOGS}/document_claims.log",
    benchmark:
        f"{BENCHMARKS}/document_claims.tsv"
    retries: 0
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        optimisers=OPTIMISERS,
        statistics=STATISTICS,
        code=code_digest("lmrep.metrics.claims.page", script="scripts/document_claims.py"),
    message:
        "Writing the rules of all claims, and the verdicts of all judged studies"
    script:
        "../scripts/document_claims.py"


rule draw_verdicts:
    input:
        judged_studies,
    output:
        "figures/gallery/claims.png",
    log:
        f"{LOGS}/draw_verdicts.log",
    benchmark:
        f"{BENCHMARKS}/draw_verdicts.tsv"
    retries: 0
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code_digest("lmrep.figures.claims", script="scripts/draw_verdicts.py"),
    message:
        "Drawing the verdicts of all judged studies"
    script:
        "../scripts/draw_verdicts.py"
