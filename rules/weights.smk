# Weight files: from the hub at a pinned revision, or from a local path; checked against their hashes.


# A cluster's nodes may have no network.
localrules:
    fetch_weights,


rule fetch_weights:
    input:
        local_source,
    output:
        weights_path("{weights}"),
    log:
        f"{LOGS}/fetch_weights/{{weights}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_weights/{{weights}}.tsv"
    priority: FETCH_FIRST
    retries: 0  # a fetch tries again by itself, and a wrong hash stays wrong
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        weights=weight_source,
        lock="weights.lock.json",
    message:
        "Fetching and checking the weights {wildcards.weights}"
    script:
        "../scripts/fetch_weights.py"
