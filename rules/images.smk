# The originals of the target images, as lossless files; a run resizes them to its probe.


# A cluster's nodes may have no network.
localrules:
    fetch_image,


rule fetch_image:
    input:
        local_image,
    output:
        image_path("{image}"),
    log:
        f"{LOGS}/fetch_image/{{image}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_image/{{image}}.tsv"
    priority: FETCH_FIRST
    retries: 0  # a fetch tries again by itself, and a wrong hash stays wrong
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        image=image_source,
        code=code_digest("lmrep.inputs.image_sources"),
    message:
        "Fetching the image {wildcards.image}"
    script:
        "../scripts/fetch_image.py"
