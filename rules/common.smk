# Paths, the study, and what the start of a build says.
import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import replace
from math import ceil
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

# lmrep is imported from this checkout, installed or not: the digests are of this checkout.
ROOT = str(Path(workflow.basedir))
sys.path.insert(0, ROOT)

from lmrep.workflow.announce import announcement, check_network, gpu_names
from lmrep.workflow.session import begin_build, end_with_build, hold_folder
from lmrep.study.checks import check_study
from lmrep.workflow.digest import as_param, code_digest
from lmrep.errors import InputError
from lmrep.provenance import import_this_checkout
from lmrep.study.spec import Descent
from lmrep.study.config import make_study, schema_complaint

import_this_checkout()


def refuse(message):
    """Ends Snakemake with one line, and no traceback."""
    print(f"lmrep: {message}", file=sys.stderr)
    sys.exit(1)


try:
    validate(config, "config.schema.yaml")
except WorkflowError as error:
    refuse(schema_complaint(error.__cause__ or error.__context__ or error))
# A path in a config is one from here, wherever the build runs (--directory).
for entry in [*config["weights"].values(), *config["images"].values()]:
    if "path" in entry:
        entry["path"] = os.path.relpath(Path(ROOT, entry["path"]))

try:
    study = make_study(config)
    check_study(study)
except InputError as error:
    refuse(error)

# Of each run: the runs over some of its layers that are one job's, by their numbers from 1.
shards = {name: dict(enumerate(study.shards(run), start=1)) for name, run in study.runs.items()}
# Wildcard constraints: the runs that one job makes, and those that several do; (?!) matches none.
WHOLE = "|".join(name for name, parts in shards.items() if len(parts) == 1) or "(?!)"
SHARED_OUT = "|".join(name for name, parts in shards.items() if len(parts) > 1) or "(?!)"
# Snakemake reads the rules once more for each job: here, such a process is bound to its build.
end_with_build()

RESULTS = f"results/{study.name}"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"


def own(folder):
    """A study's part of a folder, so that none takes another's files for its own: the article's are at its top."""
    return folder if study.name == "article" else f"{folder}/{study.name}"


wildcard_constraints:
    weights="|".join(study.weights),
    image="|".join(study.images),
    run="|".join(study.runs),
    shard="[0-9]+",
    format="png|pdf|svg",


def weights_path(name):
    return f"{own('resources/weights')}/{name}.safetensors"


def image_path(name):
    return f"{own('resources/images')}/{name}.png"


def run_path(name):
    return f"{RESULTS}/runs/{name}.safetensors"


def shard_path(name, shard):
    return f"{RESULTS}/shards/{name}/{shard}.safetensors"


def state_path(path):
    """Of the run, or of the shard of one, that comes to `path`."""
    return path.replace(".safetensors", ".state.safetensors")


def figure_path(name, format):
    return f"{own('figures')}/{name}.{format}"


def figures_of(kind):
    """A wildcard constraint: the figures of one kind, or none."""
    return "|".join(name for name, figure in study.figures.items() if figure.kind == kind) or "(?!)"


# Inputs and params of the rules, stage by stage.

# Runs wait for these, and a scheduler should have the longest to choose from.
FETCH_FIRST = sum(map(len, shards.values()))
# MB of a run's job without weights: torch and images, and on a CPU what its passes keep.
RUN_MEMORY = 4000 + (2000 if study.memory == "auto" else round(study.memory))


def job_run(wildcards):
    """What one job does: a run, or the layers of it that are a shard."""
    return shards[wildcards.run][int(wildcards.get("shard", 1))]


def longest_first(wildcards):
    """The more a job costs, the earlier it should start: a long one that starts last leaves the other cores idle."""
    cost = job_run(wildcards).flops
    return sum(run.flops < cost for parts in shards.values() for run in parts.values())


def run_memory(wildcards, attempt):
    """With three times the weights, as read and laid out there and back; more at each attempt: memory may have killed it."""
    run = job_run(wildcards)
    weights = 3 * max(run.layers) * 12 * run.probe.stack.width**2 * 4 // 10**6
    return (RUN_MEMORY + weights) * (1 + attempt) // 2


def run_minutes(wildcards, attempt):
    """Three times the estimate, and time to start; what is cut off goes on from its state at the next attempt."""
    return attempt * (15 + ceil(3 * study.seconds(job_run(wildcards)) / 60))


def run_gpus(wildcards):
    """One, but for a machine of one's own that has none: there, runs side by side use the cores."""
    return 0 if study.device == "cpu" or (workflow.local_exec and not gpu_names()) else 1


def local_source(wildcards):
    return study.weights[wildcards.weights].path or []


def weight_source(wildcards):
    """What the file depends on: a new name on figures fetches nothing."""
    return as_param(vars(study.weights[wildcards.weights]) | {"label": ""})


def local_image(wildcards):
    return study.images[wildcards.image].path or []


def image_source(wildcards):
    """What the original depends on: how it is fitted to a probe is a run's business."""
    source = dict(vars(study.images[wildcards.image]))
    del source["fit"]
    return as_param(source)


def run_targets(wildcards):
    run = study.runs[wildcards.run]
    return [image_path(name) for name in run.panels] if run.objective == "match" else []


def run_fits(wildcards):
    run = study.runs[wildcards.run]
    return as_param([study.images[name].fit for name in run.panels] if run.objective == "match" else [])


def shown_runs(wildcards):
    """The runs of a figure, in the order of the config."""
    return [study.runs[name] for name in study.figures[wildcards.figure].runs]


def shown_run_files(wildcards):
    return [run_path(run.name) for run in shown_runs(wildcards)]


def shown_tables(kind):
    return lambda wildcards: [f"{RESULTS}/metrics/{kind}/{run.name}.tsv" for run in shown_runs(wildcards)]


def title(wildcards):
    return study.figures[wildcards.figure].title


def labels(wildcards):
    """The label of each run's probe, by the run's name."""
    return as_param({run.name: run.probe.label for run in shown_runs(wildcards)})


def probe_labels(wildcards):
    return as_param({run.probe.name: run.probe.label for run in shown_runs(wildcards)})


def shown_layers(wildcards):
    """The blocks shown of each run, by the run's name: all of its own where the config does not choose."""
    chosen = study.figures[wildcards.figure].layers
    return as_param({run.name: chosen.get(run.name, run.layers) for run in shown_runs(wildcards)})


def in_report(kind):
    """A figure's path, marked for the report with its kind's caption."""
    return report(
        f"{own('figures')}/{{figure}}.{{format}}",
        caption=f"../figures/captions/{kind}.rst",
        category="Figures",
        labels={"figure": "{figure}", "format": "{format}"},
    )


def traced_settings(wildcards):
    """The settings of a diagram's run without what only steps need: a trace takes none."""
    still = Descent(("uniform", 0.0, 0.0), ())
    return as_param(replace(shown_runs(wildcards)[0], descent=still, precision="float32", memory="auto").settings())


def maximised(wildcards):
    """The neurons and the patches that a diagram's runs maximise."""
    found = {"neurons": [], "patches": []}
    for run in shown_runs(wildcards):
        if run.objective != "match":
            found[{"neuron": "neurons", "patch": "patches"}[run.objective]] += run.panels
    return as_param(found)


def begin():
    """Refuses to be a second build of the study in this folder, and has the jobs end with this one."""
    try:
        hold_folder(Path(".snakemake"), study.name)
    except InputError as error:
        refuse(error)
    if workflow.local_exec:
        begin_build()


def announce():
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_norun]
    runs = [job_run(job.wildcards) for job in jobs if job.rule.name in ("optimise_run", "optimise_shard")]
    fetched = {output for job in jobs if job.rule.name in ("fetch_weights", "fetch_image") for output in job.output}
    weights = [pin for name, pin in study.weights.items() if weights_path(name) in fetched]
    images = [image for name, image in study.images.items() if image_path(name) in fetched]
    limits = workflow.global_resources
    cards = limits["gpu"].value if "gpu" in limits else len(runs)
    cores = workflow.resource_settings.cores  # None on a cluster
    try:
        for line in announcement(study, runs, weights, images, cores, workflow.local_exec, cards):
            print(f"lmrep: {line}", file=sys.stderr)
        check_network(weights, images)
    except InputError as error:
        refuse(error)


def forget_states():
    """Removes what was kept of the runs that are there, to go on from: states, and shards of another jobs_per_run."""
    for name in study.runs:
        if Path(run_path(name)).exists():
            Path(state_path(run_path(name))).unlink(missing_ok=True)
            shutil.rmtree(Path(shard_path(name, 1)).parent, ignore_errors=True)
    with suppress(OSError):  # shards of runs that are not there yet
        Path(shard_path("", 1)).parent.rmdir()
