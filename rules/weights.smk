# Weight files: from the hub at a pinned revision, or from a local path; checked against their hashes.


def local_source(wildcards):
    return study.weights[wildcards.weights].path or []


def weight_source(wildcards):
    """What the file depends on: a new name on figures fetches nothing."""
    return as_param(vars(study.weights[wildcards.weights]) | {"label": ""})


rule fetch_weights:
    input:
        local_source,
    output:
        weights_path("{weights}"),
    log:
        f"{LOGS}/fetch_weights/{{weights}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_weights/{{weights}}.tsv"
    params:
        weights=weight_source,
        lock="weights.lock.json",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    message:
        "Fetching and checking the weights {wildcards.weights}"
    script:
        "../scripts/fetch_weights.py"
