# Figures: one rule a kind, for every figure of that kind in the config.


def shown_runs(wildcards):
    """The runs of a figure, in the order of the config."""
    return [study.runs[name] for name in study.figures[wildcards.figure].runs]


def shown_run_files(wildcards):
    return [run_path(run.name) for run in shown_runs(wildcards)]


def shown_tables(kind):
    return lambda wildcards: [f"{RESULTS}/metrics/{kind}/{run.name}.tsv" for run in shown_runs(wildcards)]


def title(wildcards):
    return study.figures[wildcards.figure].title


def labels(wildcards):
    """The label of each run's probe, by the run's name."""
    return as_param({run.name: run.probe.label for run in shown_runs(wildcards)})


def probe_labels(wildcards):
    return as_param({run.probe.name: run.probe.label for run in shown_runs(wildcards)})


def shown_layers(wildcards):
    """The blocks shown of each run, by the run's name: all of its own where the config does not choose."""
    chosen = study.figures[wildcards.figure].layers
    return as_param({run.name: chosen.get(run.name, run.layers) for run in shown_runs(wildcards)})


def in_report(kind):
    """A figure's path, marked for the report with its kind's caption."""
    return report(
        f"{FIGURES}/{{figure}}.{{format}}",
        caption=f"../figures/captions/{kind}.rst",
        category="Figures",
        labels={"figure": "{figure}", "format": "{format}"},
    )


rule draw_features:
    input:
        shown_run_files,
    output:
        in_report("features"),
    wildcard_constraints:
        figure=figures_of("features"),
    log:
        f"{LOGS}/draw_features/{{figure}}.{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_features/{{figure}}.{{format}}.tsv"
    params:
        title=title,
        labels=labels,
        code=code_digest("grids"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_features.py"


rule draw_reconstructions:
    input:
        runs=shown_run_files,
        tables=shown_tables("accuracy"),
    output:
        in_report("reconstructions"),
    wildcard_constraints:
        figure=figures_of("reconstructions"),
    log:
        f"{LOGS}/draw_reconstructions/{{figure}}.{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_reconstructions/{{figure}}.{{format}}.tsv"
    params:
        title=title,
        labels=labels,
        layers=shown_layers,
        image=lambda wildcards: study.figures[wildcards.figure].image,
        code=code_digest("grids"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_reconstructions.py"


rule draw_accuracy:
    input:
        shown_tables("accuracy"),
    output:
        in_report("accuracy"),
    wildcard_constraints:
        figure=figures_of("accuracy"),
    log:
        f"{LOGS}/draw_accuracy/{{figure}}.{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_accuracy/{{figure}}.{{format}}.tsv"
    params:
        title=title,
        labels=probe_labels,
        code=code_digest("charts"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_accuracy.py"


rule draw_importance:
    input:
        shown_tables("patches"),
    output:
        in_report("importance"),
    wildcard_constraints:
        figure=figures_of("importance"),
    log:
        f"{LOGS}/draw_importance/{{figure}}.{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_importance/{{figure}}.{{format}}.tsv"
    params:
        title=title,
        labels=labels,
        code=code_digest("charts"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_importance.py"


def maximised(wildcards):
    """The neurons and the patches that a diagram's runs maximise."""
    found = {"neurons": [], "patches": []}
    for run in shown_runs(wildcards):
        if run.objective != "match":
            found[{"neuron": "neurons", "patch": "patches"}[run.objective]] += run.panels
    return as_param(found)


rule trace_probe:
    input:
        weights=lambda wildcards: [weights_path(name) for name in probe_weights(shown_runs(wildcards)[0])],
        image=lambda wildcards: image_path(study.figures[wildcards.figure].image),
    output:
        f"{RESULTS}/traces/{{figure}}.safetensors",
    wildcard_constraints:
        figure=figures_of("diagram"),
    log:
        f"{LOGS}/trace_probe/{{figure}}.log",
    benchmark:
        f"{BENCHMARKS}/trace_probe/{{figure}}.tsv"
    params:
        settings=lambda wildcards: as_param(shown_runs(wildcards)[0].settings()),
        fit=lambda wildcards: study.images[study.figures[wildcards.figure].image].fit,
        maximised=maximised,
        code=code_digest("trace", "images"),
    threads: study.threads
    resources:
        mem_mb=8000,
        runtime=10,
    message:
        "Following an image through the probe of {wildcards.figure}"
    script:
        "../scripts/trace_probe.py"


rule draw_diagram:
    input:
        rules.trace_probe.output,
    output:
        in_report("diagram"),
    wildcard_constraints:
        figure=figures_of("diagram"),
    log:
        f"{LOGS}/draw_diagram/{{figure}}.{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_diagram/{{figure}}.{{format}}.tsv"
    params:
        title=title,
        stem=lambda wildcards: shown_runs(wildcards)[0].probe.stem.label,
        stack=lambda wildcards: shown_runs(wildcards)[0].probe.stack.label,
        code=code_digest("diagram"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_diagram.py"
