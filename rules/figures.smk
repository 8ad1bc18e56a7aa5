# Figures: one rule a kind, all made by the loop below from the table of kinds.
from lmrep.study.words import figure_distances, figure_regime, figure_settings


def figures_of(target):
    """The files of the figures that are built with a target."""
    names = [name for name, figure in study.figures.items() if figure.target == target]
    return [figure_path(name, format) for name in names for format in study.formats]


def shown(figure):
    """The runs of a figure, in the order of the config."""
    return [study.runs[name] for name in study.figures[figure].runs]


def figure_inputs(wildcards):
    """The run files, tables, traces and claims that a figure's kind reads, by what they are."""
    reads = kinds.FIGURES[study.figures[wildcards.figure].kind].reads
    found = {"runs": [run_path(run.name) for run in shown(wildcards.figure)]} if "runs" in reads else {}
    for table in filter(reads.__contains__, TABLES):
        found[table] = [table_path(table, run.name) for run in shown(wildcards.figure)]
    if "trace" in reads:
        found["trace"] = f"{RESULTS}/traces/{wildcards.figure}.safetensors"
    if "claims" in reads:
        found["claims"] = rules.judge_claims.output.claims
    return found


for kind, entry in kinds.FIGURES.items():

    rule:
        name:
            f"draw_{kind}"
        input:
            unpack(figure_inputs),
        output:
            figure=figure_path("{figure}", "{format}"),
            # The report and the gallery show it at page width: some figures have 10 MB.
            web=report(
                f"{RESULTS}/web/{{figure}}.{{format}}.jpg",
                caption=f"../figures/captions/{kind}.rst",
                category="Figures",
                labels={"figure": "{figure}", "format": "{format}"},
            ),
        log:
            f"{LOGS}/draw_{kind}/{{figure}}.{{format}}.log",
        benchmark:
            f"{BENCHMARKS}/draw_{kind}/{{figure}}.{{format}}.tsv"
        wildcard_constraints:
            figure=one_of(name for name, figure in study.figures.items() if figure.kind == kind),
        retries: 0
        localrule: True  # seconds, not worth a place in a cluster's queue
        threads: 1
        resources:
            mem_mb=2000,
            runtime=10,
        params:
            title=lambda wildcards: study.figures[wildcards.figure].title,
            regime=lambda wildcards: figure_regime(study, wildcards.figure),
            distances=lambda wildcards: figure_distances(study, wildcards.figure),
            # Runs stand in the config's order.
            settings=lambda wildcards: as_param(figure_settings(study, wildcards.figure), in_order=True),
            optimisers=OPTIMISERS,
            code=code_digest(*kinds.modules_of(entry), script="scripts/draw_figure.py"),
        message:
            "Drawing {wildcards.figure}"
        script:
            "../scripts/draw_figure.py"


# One page without network to look through all pictures of a study, with its claims.
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
    localrule: True
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        study=as_param({key: config[key] for key in CLAIM_KEYS}, in_order=True),
        regime=target_regime(study, "figures"),
        page=file_digests("figures/explorer/*"),
        optimisers=OPTIMISERS,
        code=code_digest("lmrep.figures.explorer.page", script="scripts/draw_explorer.py"),
    message:
        "Putting all pictures of {config[study]} on a page to look through"
    script:
        "../scripts/draw_explorer.py"
