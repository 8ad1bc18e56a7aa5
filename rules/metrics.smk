# Tables: one pair a run, so that one figure needs only its own runs, and the two of the whole study.


# Seconds each: they are not worth a place in a cluster's queue.
localrules:
    measure_run,
    merge_tables,
    record_study,
    metrics,


rule measure_run:
    input:
        run_path("{run}"),
    output:
        accuracy=f"{RESULTS}/metrics/accuracy/{{run}}.tsv",
        patches=f"{RESULTS}/metrics/patches/{{run}}.tsv",
    log:
        f"{LOGS}/measure_run/{{run}}.log",
    benchmark:
        f"{BENCHMARKS}/measure_run/{{run}}.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code_digest("lmrep.metrics.measures"),
    message:
        "Measuring the images of {wildcards.run}"
    script:
        "../scripts/measure_run.py"


rule merge_tables:
    input:
        accuracy=expand(rules.measure_run.output.accuracy, run=study.runs),
        patches=expand(rules.measure_run.output.patches, run=study.runs),
    output:
        accuracy=report(f"{RESULTS}/metrics/accuracy.tsv", caption="../figures/captions/tables.rst", category="Tables"),
        patches=report(f"{RESULTS}/metrics/patches.tsv", caption="../figures/captions/tables.rst", category="Tables"),
    log:
        f"{LOGS}/merge_tables.log",
    benchmark:
        f"{BENCHMARKS}/merge_tables.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code_digest("lmrep.metrics.measures"),
    message:
        "Merging the tables of all runs"
    script:
        "../scripts/merge_tables.py"


rule record_study:
    output:
        f"{RESULTS}/study.json",
    log:
        f"{LOGS}/record_study.log",
    benchmark:
        f"{BENCHMARKS}/record_study.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        study=as_param(config),
    message:
        "Recording the study as it was resolved"
    script:
        "../scripts/record_study.py"


rule metrics:
    input:
        rules.merge_tables.output,
        rules.record_study.output,
