# What one image becomes on its way through a probe, for the figures that show it.
from lmrep.study.facts import maximised
from lmrep.workflow.schedule import trace_memory


def traced_run(wildcards):
    """The first run of a figure: all its runs are of one probe."""
    return study.runs[study.figures[wildcards.figure].runs[0]]


def traced_image(wildcards):
    return study.images[study.figures[wildcards.figure].image]


def trace_identity(wildcards):
    """Everything that a trace depends on, besides its code."""
    run, image = traced_run(wildcards), traced_image(wildcards)
    return as_param(
        {
            "probe": identity(run.probe),
            "kinds": [identity(kind) for kind in run.probe.kinds],
            "trained": run.weights,
            "layers": run.layers,
            "seed": run.seed,
            "threads": study.threads,
            "weights": {role: or_refuse(weights_content, each) for role, each in run.weight_roles.items()},
            "image": [image_content(image), image_code(image), image.fit],
        }
    )


rule trace_probe:
    input:
        weights=lambda wildcards: weight_inputs([traced_run(wildcards)]),
        image=lambda wildcards: ancient(image_path(traced_image(wildcards))),
    output:
        f"{RESULTS}/traces/{{figure}}.safetensors",
    log:
        f"{LOGS}/trace_probe/{{figure}}.log",
    benchmark:
        f"{BENCHMARKS}/trace_probe/{{figure}}.tsv"
    wildcard_constraints:
        figure=one_of(name for name, figure in study.figures.items() if "trace" in kinds.FIGURES[figure.kind].reads),
    threads: study.threads
    resources:
        mem_mb=lambda wildcards, attempt: trace_memory(traced_run(wildcards), attempt),
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        identity=trace_identity,
        maximised=lambda wildcards: as_param(maximised(shown(wildcards.figure))),
        code=lambda wildcards: code_digest(
            "lmrep.probe.trace",
            "lmrep.inputs.images",
            "lmrep.descent.plan",
            *kinds.modules_of(*traced_run(wildcards).probe.kinds),
            script="scripts/trace_probe.py",
        ),
    message:
        "Following an image through the probe of {wildcards.figure}"
    script:
        "../scripts/trace_probe.py"
