# The optimisation runs: one job is one experiment on one probe, over all its layers and panels, or, if jobs_per_run
# says so, over some of its layers.


localrules:
    merge_shards,


rule optimise_run:
    input:
        weights=lambda wildcards: [weights_path(name) for name in study.runs[wildcards.run].weight_files],
        images=run_targets,
    output:
        run_path("{run}"),
    log:
        f"{LOGS}/optimise_run/{{run}}.log",
    benchmark:
        f"{BENCHMARKS}/optimise_run/{{run}}.tsv"
    wildcard_constraints:
        run=WHOLE,
    priority: longest_first
    threads: study.threads
    resources:
        mem_mb=run_memory,
        runtime=run_minutes,
        gpu=run_gpus,
    params:
        settings=lambda wildcards: as_param(job_run(wildcards).settings()),
        state=lambda wildcards, output: state_path(output[0]),
        fits=run_fits,
        device=study.device,
        threads=study.threads,
        code=code_digest("lmrep.descent.experiment", "lmrep.inputs.images"),
    message:
        "Optimising the images of {wildcards.run}"
    script:
        "../scripts/optimise_run.py"


use rule optimise_run as optimise_shard with:
    output:
        temp(shard_path("{run}", "{shard}")),
    log:
        f"{LOGS}/optimise_shard/{{run}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/optimise_shard/{{run}}/{{shard}}.tsv"
    wildcard_constraints:
        run=SHARED_OUT,
    message:
        "Optimising the images of {wildcards.run}, job {wildcards.shard} of its layers"


rule merge_shards:
    input:
        lambda wildcards: [shard_path(wildcards.run, shard) for shard in shards[wildcards.run]],
    output:
        run_path("{run}"),
    log:
        f"{LOGS}/merge_shards/{{run}}.log",
    benchmark:
        f"{BENCHMARKS}/merge_shards/{{run}}.tsv"
    wildcard_constraints:
        run=SHARED_OUT,
    retries: 0
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code_digest("lmrep.files"),
    message:
        "Merging the layers of {wildcards.run}"
    script:
        "../scripts/merge_shards.py"
