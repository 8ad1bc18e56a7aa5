# The optimisation runs: one job is one experiment on one probe, over all its layers and panels.


rule optimise_run:
    input:
        weights=lambda wildcards: [weights_path(name) for name in probe_weights(study.runs[wildcards.run])],
        images=run_targets,
    output:
        run_path("{run}"),
    log:
        f"{LOGS}/optimise_run/{{run}}.log",
    benchmark:
        f"{BENCHMARKS}/optimise_run/{{run}}.tsv"
    priority: longest_first
    threads: study.threads
    resources:
        mem_mb=RUN_MEMORY,
        runtime=240,
        gpu=0 if study.device == "cpu" else 1,
    params:
        settings=lambda wildcards: as_param(study.runs[wildcards.run].settings()),
        fits=run_fits,
        device=study.device,
        threads=study.threads,
        code=code_digest("experiment", "images", "runfile"),
    message:
        "Optimising the images of {wildcards.run}"
    script:
        "../scripts/optimise_run.py"
