# Tables: one of each kind a run, so that a figure needs its own runs only, and one of each kind for the whole study.
from lmrep.metrics.tables import TABLES
from lmrep.study.words import target_regime


# Seconds each: they are not worth a place in a cluster's queue.
localrules:
    measure_run,
    merge_tables,
    merge_evidence,
    record_study,
    metrics,


rule measure_run:
    input:
        run_path("{run}"),
    output:
        **{table: table_path(table, "{run}") for table in TABLES},
    log:
        f"{LOGS}/measure_run/{{run}}.log",
    benchmark:
        f"{BENCHMARKS}/measure_run/{{run}}.tsv"
    retries: 0  # what fails in seconds on this machine fails again
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        probe=lambda wildcards: study.runs[wildcards.run].probe.name,
        metrics=as_param({name: identity(metric) for name, metric in kinds.METRICS.items()}),
        code=code_digest(
            "lmrep.metrics.tables", *kinds.modules_of(*kinds.METRICS.values()), script="scripts/measure_run.py"
        ),
    message:
        "Measuring the images of {wildcards.run}"
    script:
        "../scripts/measure_run.py"


def merged(folder):
    """The tables of several runs. All but that of patches, which is too long for it, are in the report."""
    places = {table: f"{RESULTS}/{folder}/{table}.tsv" for table in TABLES}
    caption = "../figures/captions/tables.rst"
    shown = {
        table: report(path, caption=caption, category="Tables") for table, path in places.items() if table != "patches"
    }
    return places | shown


rule merge_tables:
    input:
        **{table: [table_path(table, run) for run in study.runs_of("figures")] for table in TABLES},
    output:
        **merged("metrics"),
    log:
        f"{LOGS}/merge_tables.log",
    benchmark:
        f"{BENCHMARKS}/merge_tables.tsv"
    retries: 0
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        runs=as_param(study.runs_of("figures")),
        regime=target_regime(study, "figures"),
        code=code_digest("lmrep.metrics.tables", script="scripts/merge_tables.py"),
    message:
        "Merging the tables of all runs"
    script:
        "../scripts/merge_tables.py"


use rule merge_tables as merge_evidence with:
    input:
        **{table: [table_path(table, run) for run in study.runs_of("evidence")] for table in TABLES},
    output:
        **merged("evidence"),
    log:
        f"{LOGS}/merge_evidence.log",
    benchmark:
        f"{BENCHMARKS}/merge_evidence.tsv"
    params:
        runs=as_param(study.runs_of("evidence")),
        regime=target_regime(study, "evidence"),
        code=code_digest("lmrep.metrics.tables", script="scripts/merge_tables.py"),


rule record_study:
    output:
        f"{RESULTS}/study.json",
    log:
        f"{LOGS}/record_study.log",
    benchmark:
        f"{BENCHMARKS}/record_study.tsv"
    retries: 0
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        study=as_param(config, in_order=True),
    message:
        "Recording the study with its defaults and the command line's settings"
    script:
        "../scripts/record_study.py"


rule metrics:
    input:
        rules.merge_tables.output,
        rules.record_study.output,
