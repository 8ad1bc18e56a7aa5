# How the models in resources/miniature/ were made. They ship with the project: a build does not train them.
import yaml

RECIPE = os.path.relpath(Path(workflow.basedir, "resources/miniature/recipe.yaml"))
TRAINED = list(yaml.safe_load(Path(RECIPE).read_text())["models"])


rule train_model:
    input:
        recipe=RECIPE,
    output:
        weights="results/training/{model}.safetensors",
        card="results/training/{model}.json",
    log:
        "results/training/{model}.log",
    benchmark:
        "results/training/{model}.benchmark.tsv"
    wildcard_constraints:
        model=one_of(TRAINED),
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code_digest("lmrep.miniature.train", script="scripts/train_miniature.py"),
    message:
        "Training {wildcards.model}"
    script:
        "../scripts/train_miniature.py"


# The shipped files are sources: were they a rule's output, a fresh clone would train before it builds.
rule train_miniature:
    input:
        recipe=RECIPE,
        weights=expand(rules.train_model.output.weights, model=TRAINED),
        cards=expand(rules.train_model.output.card, model=TRAINED),
    output:
        touch("results/training/shipped"),
    log:
        "results/training/ship.log",
    benchmark:
        "results/training/ship.benchmark.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        folder=lambda wildcards, input: os.path.dirname(input.recipe),
    message:
        "Copying the trained models to {params.folder} and writing their card"
    script:
        "../scripts/ship_miniature.py"
