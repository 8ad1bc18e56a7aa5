# The study, the paths of its files, and the wildcards.
import os
import sys
from functools import partial
from pathlib import Path

from lmrep.errors import InputError
from lmrep.inputs.paths import original_path, weights_files
from lmrep.study import kinds
from lmrep.study.checks import check_study
from lmrep.study.config import make_study
from lmrep.study.reading import read_config
from lmrep.study.schema import check_schema
from lmrep.study.cost import shards as make_shards
from lmrep.study.spec import identity
from lmrep.workflow.contents import image_code, image_content, weights_content
from lmrep.workflow.digest import as_param, code_digest, file_digests, one_of
from lmrep.workflow.session import import_this_checkout

import_this_checkout()


def refuse(message):
    """Ends Snakemake with one line and no traceback."""
    print(f"lmrep: {message}", file=sys.stderr)
    sys.exit(1)


def or_refuse(function, *arguments):
    """What a function returns. Bad input ends Snakemake with its one line."""
    try:
        return function(*arguments)
    except InputError as error:
        refuse(error)


for file in engine.configfiles or [Path(workflow.basedir, "config.yaml")]:
    or_refuse(read_config, file)  # Snakemake has read it, but takes a key that occurs twice
or_refuse(check_schema, config)
# A path in a config is relative to this checkout, wherever the build runs (--directory).
for entry in [*config["weights"].values(), *config["images"].values()]:
    if "path" in entry:
        entry["path"] = os.path.relpath(Path(workflow.basedir, entry["path"]))
study = or_refuse(make_study, config)
or_refuse(check_study, study)

RESULTS = f"results/{study.name}"
LOGS = f"{RESULTS}/logs"
BENCHMARKS = f"{RESULTS}/benchmarks"
# What figures and claims say of optimisers: their labels, their order, and which one is the article's.
OPTIMISERS = as_param([*([name, entry.label] for name, entry in kinds.OPTIMISERS.items()), kinds.ARTICLE])


wildcard_constraints:
    run=one_of(study.runs),
    shard="[0-9]+",
    format="png|pdf|svg",


def own(folder):
    """The study's part of a shared folder: two studies may draw figures of the same name."""
    return folder if study.name == "article" else f"{folder}/{study.name}"


def weights_paths(weights):
    return [str(path) for path in weights_files(weights)]


def weight_inputs(runs):
    """The weight files of runs, each once, as inputs whose age does not matter."""
    return ancient(sorted({path for run in runs for weights in run.weight_files for path in weights_paths(weights)}))


def image_path(image):
    return str(original_path(image, or_refuse(image_content, image), image_code(image)))


def run_path(name):
    return f"{RESULTS}/runs/{name}.safetensors"


def shard_path(name, shard):
    return f"{RESULTS}/shards/{name}/{shard}.safetensors"


def table_path(table, run):
    return f"{RESULTS}/metrics/{table}/{run}.tsv"


def figure_path(name, format):
    return f"{own('figures')}/{name}.{format}"


# The runs that are one job each: every run, or its shards, numbered from 1.
shards = {
    name: dict(enumerate(make_shards(run, study.jobs_per_run, study.speed), start=1))
    for name, run in study.runs.items()
}
