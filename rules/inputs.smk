# Weights and images: fetched, verified, kept. Sources are `ancient`, since their content counts and not their time.
from lmrep.workflow.contents import image_content, weights_source


# A cluster's nodes may have no network.
localrules:
    fetch_weights,
    fetch_image,


# Runs wait for these, and a scheduler should have the longest run to choose from.
FETCH_FIRST = sum(map(len, shards.values()))


def local_file(entries, name):
    path = entries[name].path
    return ancient(path) if path else []


rule fetch_weights:
    input:
        lambda wildcards: local_file(study.weights, wildcards.weights),
    output:
        weights_path("{weights}"),
    log:
        f"{LOGS}/fetch_weights/{{weights}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_weights/{{weights}}.tsv"
    priority: FETCH_FIRST
    retries: 0  # a fetch retries by itself, and a wrong hash stays wrong
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        source=lambda wildcards: or_refuse(weights_source, study.weights[wildcards.weights]),
    message:
        "Fetching and checking the weights {wildcards.weights}"
    script:
        "../scripts/fetch_weights.py"


# The originals as lossless files; a run resizes them to its probe.
rule fetch_image:
    input:
        lambda wildcards: local_file(study.images, wildcards.image),
    output:
        image_path("{image}"),
    log:
        f"{LOGS}/fetch_image/{{image}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_image/{{image}}.tsv"
    priority: FETCH_FIRST
    retries: 0
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        content=lambda wildcards: or_refuse(image_content, study.images[wildcards.image]),
        code=code_digest("lmrep.inputs.image_sources", script="scripts/fetch_image.py"),
    message:
        "Fetching the image {wildcards.image}"
    script:
        "../scripts/fetch_image.py"
