"""A new objective, metric, table and kind of figure: a function or two and one entry each, and nothing else."""

import numpy as np
import pytest
from checkout import Checkout, append, shorten
from PIL import Image

from lmrep.files import read_arrays

pytestmark = [pytest.mark.workflow, pytest.mark.build]

OBJECTIVE = '''

def loudest(first_patch: int, constant: float) -> Objective:
    """The constant minus the largest activation of all patches."""
    return lambda outputs: constant - outputs[:, first_patch:].amax(dim=(1, 2))


def near(targets: Tensor) -> Objective:
    """Half the squared distance to the photographs' outputs."""
    return lambda outputs: 0.5 * ((outputs - targets) ** 2).sum(dim=(1, 2))
'''
METRIC = '''

def brightness(image: Array) -> float:
    """The mean of an image's pixels."""
    return float(image.mean())
'''
TABLE = '''

def starts(run: ArrayFile) -> Iterator[Row]:
    """The mean pixel of each start."""
    for layer, images in zip(run.facts["layers"], run["initial"], strict=True):
        for panel, seed, image in zip(run.facts["panels"], panel_seeds(run), images, strict=True):
            yield {"run": run.facts["run"], "panel": panel, "seed": seed, "layer": layer, "mean": float(image.mean())}


def starts_keys(run: Run) -> Iterable[Key]:
    return ((*panel, layer) for panel, layer in product(panel_keys(run), run.layers))


TABLES["starts"] = Table(
    {"run": str, "panel": str, "seed": int, "layer": int, "mean": float},
    starts, ("panel", "seed", "layer"), starts_keys,
)
'''
FIGURE = '''

def draw_brightness(shown: Shown) -> Figure:
    """Brightness against block."""
    if list(shown.labels) != ["near", "also_near"]:
        raise ValueError(f"expected the runs in the config's order, got {list(shown.labels)}")
    rows = shown.tables["accuracy"]
    if len(shown.tables["starts"]) != len(rows):
        raise ValueError("expected a start for each image")
    figure, (axes,) = make_plots(1, 2.0, shown)
    axes.plot([row["layer"] for row in rows], [row["brightness"] for row in rows], label=shown.labels[rows[0]["run"]])
    return figure
'''
KINDS = """
OBJECTIVES |= {
    "loudest": Objective("lmrep.descent.objectives:loudest", "neurons", ("first_patch", "constant")),
    "near": Objective("lmrep.descent.objectives:near", "images", ("targets",)),
}
METRICS["brightness"] = Metric("lmrep.metrics.measures:brightness", ("image",))
FIGURES["brightness"] = Figure("lmrep.figures.charts:draw_brightness", ("accuracy", "starts"), objectives=("near",))
"""


def ask_for_them(config):
    shorten(config)
    config["runs"] |= {
        "loud": {"objective": "loudest", "probe": "gpt2", "weights": "trained", "layers": [2], "neurons": [3],
                 "descent": "plain"},
        "near": {"objective": "near", "probe": "gpt2", "weights": "trained", "layers": [1, 2], "images": ["chelsea"],
                 "descent": "match"},
    }  # fmt: skip
    config["runs"]["also_near"] = {**config["runs"]["near"], "layers": [1]}
    config["figures"]["how_bright"] = {"kind": "brightness", "title": "Brightness", "runs": ["near", "also_near"]}


def test_an_objective_a_metric_a_table_and_a_figure_are_one_entry_each(tmp_path):
    checkout = Checkout(tmp_path / "lmrep")
    append(checkout / "lmrep/descent/objectives.py", OBJECTIVE)
    append(checkout / "lmrep/metrics/measures.py", METRIC)
    append(checkout / "lmrep/metrics/tables.py", TABLE)
    append(checkout / "lmrep/figures/charts.py", FIGURE)
    append(checkout / "lmrep/study/kinds.py", KINDS)
    (checkout / "figures/captions/brightness.rst").write_text(
        "**{{ snakemake.params.title }}.** Mean pixel by block.\n"
    )
    checkout.edit("miniature.yaml", ask_for_them)
    figure, loud = "figures/miniature/how_bright.png", "results/miniature/runs/loud.safetensors"
    done = checkout.miniature(figure, loud)
    assert done.returncode == 0, done.stdout[-4000:]
    with Image.open(checkout / figure) as picture:
        assert np.asarray(picture).std() > 0
    table = (checkout / "results/miniature/metrics/accuracy/near.tsv").read_text().splitlines()
    assert table[0].split("\t")[-1] == "brightness" and len(table) == 3
    near = read_arrays(checkout / "results/miniature/runs/near.safetensors")
    assert [float(row.split("\t")[-1]) for row in table[1:]] == pytest.approx(
        near["images"].mean((1, 2, 3, 4)), rel=1e-5
    )
    assert (near["loss"][:, -1] < near["loss"][:, 0]).all()
    assert read_arrays(checkout / loud)["loss"][0, -1] < read_arrays(checkout / loud)["loss"][0, 0]

    # What neither uses is refused by name.
    checkout.edit("miniature.yaml", lambda config: config["runs"]["near"].update(constant=3))
    refused = checkout.miniature("-n", figure)
    assert "lmrep: runs.near.constant: the near run 'near' does not use it" in refused.stdout
