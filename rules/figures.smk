# Figures: one rule a kind, for every figure of that kind in the config.


# Seconds each: they are not worth a place in a cluster's queue.
localrules:
    draw_features,
    draw_reconstructions,
    draw_accuracy,
    draw_importance,
    draw_diagram,


rule draw_features:
    input:
        shown_run_files,
    output:
        in_report("features"),
    log:
        f"{LOGS}/draw_features/{{figure}}.{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_features/{{figure}}.{{format}}.tsv"
    wildcard_constraints:
        figure=figures_of("features"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        title=title,
        labels=labels,
        code=code_digest("lmrep.figures.grids"),
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
    log:
        f"{LOGS}/draw_reconstructions/{{figure}}.{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_reconstructions/{{figure}}.{{format}}.tsv"
    wildcard_constraints:
        figure=figures_of("reconstructions"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        title=title,
        labels=labels,
        layers=shown_layers,
        image=lambda wildcards: study.figures[wildcards.figure].image,
        code=code_digest("lmrep.figures.grids"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_reconstructions.py"


rule draw_accuracy:
    input:
        shown_tables("accuracy"),
    output:
        in_report("accuracy"),
    log:
        f"{LOGS}/draw_accuracy/{{figure}}.{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_accuracy/{{figure}}.{{format}}.tsv"
    wildcard_constraints:
        figure=figures_of("accuracy"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        title=title,
        labels=probe_labels,
        code=code_digest("lmrep.figures.charts"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_accuracy.py"


rule draw_importance:
    input:
        shown_tables("patches"),
    output:
        in_report("importance"),
    log:
        f"{LOGS}/draw_importance/{{figure}}.{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_importance/{{figure}}.{{format}}.tsv"
    wildcard_constraints:
        figure=figures_of("importance"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        title=title,
        labels=labels,
        code=code_digest("lmrep.figures.charts"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_importance.py"


rule trace_probe:
    input:
        weights=lambda wildcards: [weights_path(name) for name in shown_runs(wildcards)[0].weight_files],
        image=lambda wildcards: image_path(study.figures[wildcards.figure].image),
    output:
        f"{RESULTS}/traces/{{figure}}.safetensors",
    log:
        f"{LOGS}/trace_probe/{{figure}}.log",
    benchmark:
        f"{BENCHMARKS}/trace_probe/{{figure}}.tsv"
    wildcard_constraints:
        figure=figures_of("diagram"),
    threads: study.threads
    resources:
        mem_mb=8000,
        runtime=10,
    params:
        settings=traced_settings,
        fit=lambda wildcards: study.images[study.figures[wildcards.figure].image].fit,
        maximised=maximised,
        code=code_digest("lmrep.probe.trace", "lmrep.inputs.images"),
    message:
        "Following an image through the probe of {wildcards.figure}"
    script:
        "../scripts/trace_probe.py"


rule draw_diagram:
    input:
        rules.trace_probe.output,
    output:
        in_report("diagram"),
    log:
        f"{LOGS}/draw_diagram/{{figure}}.{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_diagram/{{figure}}.{{format}}.tsv"
    wildcard_constraints:
        figure=figures_of("diagram"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        title=title,
        stem=lambda wildcards: shown_runs(wildcards)[0].probe.stem.label,
        stack=lambda wildcards: shown_runs(wildcards)[0].probe.stack.label,
        code=code_digest("lmrep.figures.diagram"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_diagram.py"
