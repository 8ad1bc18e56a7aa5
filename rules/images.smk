# The originals of the target images, as lossless files; a run resizes them to its probe.


def local_image(wildcards):
    return study.images[wildcards.image].path or []


def image_source(wildcards):
    """What the original depends on: how it is fitted to a probe is a run's business."""
    source = dict(vars(study.images[wildcards.image]))
    del source["fit"]
    return as_param(source)


rule fetch_image:
    input:
        local_image,
    output:
        image_path("{image}"),
    log:
        f"{LOGS}/fetch_image/{{image}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_image/{{image}}.tsv"
    params:
        image=image_source,
        code=code_digest("drawings"),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    message:
        "Fetching the image {wildcards.image}"
    script:
        "../scripts/fetch_image.py"
