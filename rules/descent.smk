# The optimisation runs. One job is one run over all its layers and panels, or over some layers if jobs_per_run says so.
from lmrep.study.cost import run_flops
from lmrep.workflow.gpus import gpu_names
from lmrep.workflow.schedule import rank, run_memory, run_minutes

COSTS = sorted(run_flops(run) for parts in shards.values() for run in parts.values())


localrules:
    merge_shards,


def job_run(wildcards):
    """What one job does: a run, or the shard of one."""
    return shards[wildcards.run][int(wildcards.get("shard", 1))]


def run_weights(wildcards):
    return weight_inputs([study.runs[wildcards.run]])


def run_targets(wildcards):
    """The photographs of a match, one a panel."""
    run = study.runs[wildcards.run]
    return [study.images[name] for name in run.panels] if run.matches else []


def run_images(wildcards):
    return ancient([image_path(image) for image in run_targets(wildcards)])


def run_identity(wildcards):
    """Everything that a run's numbers depend on, besides its code: settings, kinds, and the content of its inputs."""
    run = study.runs[wildcards.run]
    return as_param(
        {
            "settings": identity(run),
            "draws": run.panel_names,
            "device": study.device,
            "threads": study.threads,
            "kinds": [identity(kind) for kind in run.kinds],
            "weights": {role: or_refuse(weights_content, each) for role, each in run.weight_roles.items()},
            "images": [[image_content(image), image_code(image), image.fit] for image in run_targets(wildcards)],
        }
    )


def run_code(wildcards):
    modules = kinds.modules_of(*study.runs[wildcards.run].kinds)
    return code_digest("lmrep.workflow.optimise", *modules, script="scripts/optimise_run.py")


def run_gpus(wildcards):
    """One GPU, except on a machine of your own without one: there, runs side by side use the cores."""
    if study.device == "auto" and engine.runs_here:
        return int(bool(gpu_names(study.device)))
    return int(study.device != "cpu")


rule optimise_run:
    input:
        weights=run_weights,
        images=run_images,
    output:
        run_path("{run}"),
    log:
        f"{LOGS}/optimise_run/{{run}}.log",
    benchmark:
        f"{BENCHMARKS}/optimise_run/{{run}}.tsv"
    wildcard_constraints:
        run=one_of(name for name, parts in shards.items() if len(parts) == 1),
    priority: lambda wildcards: rank(job_run(wildcards), COSTS)
    threads: study.threads
    resources:
        mem_mb=lambda wildcards, attempt: run_memory(job_run(wildcards), attempt),
        runtime=lambda wildcards, attempt: run_minutes(job_run(wildcards), study.speed, attempt),
        gpu=run_gpus,
    params:
        identity=run_identity,
        code=run_code,
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
        run=one_of(name for name, parts in shards.items() if len(parts) > 1),
    params:
        identity=run_identity,
        code=run_code,
        layers=lambda wildcards: as_param(job_run(wildcards).layers),  # another jobs_per_run deals them anew
    message:
        "Optimising the images of {wildcards.run}, share {wildcards.shard} of its layers"


# Its params are those of optimise_run, so that another jobs_per_run reruns nothing.
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
        run=one_of(name for name, parts in shards.items() if len(parts) > 1),
    retries: 0
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        identity=run_identity,
        code=run_code,
    message:
        "Merging the layers of {wildcards.run}"
    script:
        "../scripts/merge_shards.py"
