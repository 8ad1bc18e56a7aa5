# Paths, the study, and what the start of a build says.
import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

# Jobs import lmrep from this checkout, installed or not, as the digests below are of this checkout.
ROOT = str(Path(workflow.basedir))
sys.path.insert(0, ROOT)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))

from lmrep.announce import announcement, missing_network
from lmrep.checks import check_study
from lmrep.digest import as_param, code_digest
from lmrep.errors import InputError
from lmrep.study import make_study, schema_complaint


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

RESULTS = f"results/{study.name}"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
FIGURES = "figures" if study.name == "article" else f"figures/{study.name}"


wildcard_constraints:
    weights="|".join(study.weights),
    image="|".join(study.images),
    run="|".join(study.runs),
    format="png|pdf|svg",


def weights_path(name):
    return f"resources/weights/{name}.safetensors"


def image_path(name):
    return f"resources/images/{name}.png"


def run_path(name):
    return f"{RESULTS}/runs/{name}.safetensors"


def figure_path(name, format):
    return f"{FIGURES}/{name}.{format}"


def figures_of(kind):
    """A wildcard constraint: the figures of one kind, or none."""
    return "|".join(name for name, figure in study.figures.items() if figure.kind == kind) or "(?!)"


def probe_weights(run):
    """The weight files that a run reads: an untrained stack needs none of its own."""
    names = {run.probe.stem.name} | ({run.probe.stack.name} if run.weights == "trained" else set())
    return sorted(names)


def announce():
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_norun]
    runs = [study.runs[job.wildcards.run] for job in jobs if job.rule.name == "optimise_run"]
    weights = [study.weights[job.wildcards.weights] for job in jobs if job.rule.name == "fetch_weights"]
    images = [study.images[job.wildcards.image] for job in jobs if job.rule.name == "fetch_image"]
    for line in announcement(study, runs, weights, images, workflow.cores):
        print(f"lmrep: {line}", file=sys.stderr)
    unreachable = missing_network(weights, images)
    if unreachable:
        refuse(unreachable)
