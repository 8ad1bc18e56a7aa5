"""A short build of the miniature study: its files, what reruns and what does not."""

import os

import numpy as np
import pytest
from checkout import Checkout, shorten

from lmrep.metrics.measures import ACCURACY_COLUMNS, read_table, ssim
from lmrep.files import read_arrays

pytestmark = [pytest.mark.workflow, pytest.mark.build]
NAMES = [
    "transformer_activation_explained", "gpt2_features_viz", "gpt2_features_viz_2", "gpt2_features_viz_3",
    "vit_vs_gpt2_representation", "vit_vs_gpt2_representation_2", "representational_accuracy", "token_importance",
]  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    checkout = Checkout(tmp_path_factory.mktemp("one") / "lmrep")
    checkout.edit("miniature.yaml", shorten)
    done = checkout.miniature("figures")
    assert done.returncode == 0, done.stdout[-4000:]
    return checkout


@pytest.fixture
def restored(built):
    """The build, with its sources put back after the test as they were, times included."""
    kept = {
        path: (path.read_bytes(), path.stat()) for path in [built / "miniature.yaml", *(built / "lmrep").glob("*.py")]
    }
    yield built
    for path, (content, times) in kept.items():
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_all_eight_figures_are_there_and_a_second_call_has_nothing_to_do(built):
    assert sorted(path.stem for path in (built / "figures/miniature").iterdir()) == sorted(NAMES)
    assert "Nothing to be done" in built.miniature("figures").stdout


def test_a_deleted_figure_is_remade_alone(built):
    path = built / "figures/miniature/gpt2_features_viz_3.png"
    before = path.read_bytes()
    path.unlink()
    assert built.planned("figures") == {"draw_features": 1, "figures": 1}
    assert built.miniature("figures").returncode == 0
    assert path.read_bytes() == before


def test_another_rate_reruns_its_run_and_what_hangs_on_it(restored):
    def change(config):
        config["runs"]["gpt2_match_untrained"]["octaves"] = [{"size": 66, "steps": 3, "rate": [0.5, 0.1]}]

    restored.edit("miniature.yaml", change)
    assert restored.planned("figures") == {
        "optimise_run": 1, "measure_run": 1, "merge_tables": 1, "draw_accuracy": 1, "record_study": 1, "figures": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("module", "rules"),
    [
        ("optimise", {"optimise_run": 10, "measure_run": 10}),
        ("probe", {"optimise_run": 10, "trace_probe": 1}),
        ("metrics", {"measure_run": 10, "merge_tables": 1}),
    ],
)
def test_an_edited_module_reruns_what_goes_through_it(restored, module, rules):
    with open(restored / f"lmrep/{module}.py", "a") as file:
        file.write("\n# edited\n")
    plan = restored.planned("figures")
    assert {rule: plan.get(rule) for rule in rules} == rules
    assert "fetch_weights" not in plan and "fetch_image" not in plan


def test_an_edited_chart_redraws_the_charts_only(restored):
    with open(restored / "lmrep/charts.py", "a") as file:
        file.write("\n# edited\n")
    assert restored.planned("figures") == {"draw_accuracy": 1, "draw_importance": 1, "figures": 1}


def test_no_output_names_a_folder(built):
    for path, content in built.bytes_of(
        "figures/miniature", "results/miniature/runs", "results/miniature/metrics"
    ).items():
        assert str(built.folder).encode() not in content, path


def test_after_the_chosen_patch_gpt2_changes_nothing_and_the_vit_does(built):
    changes = {}
    for line in (built / "results/miniature/metrics/patches.tsv").read_text().splitlines()[1:]:
        run, layer, panel, patch, change = line.split("\t")
        if run.endswith("_patches") and int(patch) > int(panel):
            changes.setdefault((run, int(layer), int(panel)), []).append(float(change))
    gpt2 = [values for (run, *_), values in changes.items() if run == "gpt2_patches"]
    vit = [values for (run, *_), values in changes.items() if run == "vit_base_patches"]
    assert len(gpt2) == len(vit) == 4 * 16
    assert all(change == 0 for values in gpt2 for change in values)
    assert all(change > 0 for values in vit for change in values)


def test_the_tables_ssim_is_that_of_the_run_files(built):
    rows = read_table(built / "results/miniature/metrics/accuracy.tsv", ACCURACY_COLUMNS)
    assert len(rows) == 2 * (6 + 6 + 8) * 2
    for probe in ("gpt2", "vit_base", "vit_large"):
        for weights in ("trained", "untrained"):
            suffix = "_untrained" if weights == "untrained" else ""
            run = read_arrays(built / f"results/miniature/runs/{probe}_match{suffix}.safetensors")
            assert run["images"].dtype == np.float32
            for row in rows:
                if (row["probe"], row["weights"]) == (probe, weights):
                    panel = run.facts["panels"].index(row["image"])
                    image = run["images"][run.facts["layers"].index(row["layer"]), panel]
                    assert row["ssim"] == pytest.approx(ssim(image, run["targets"][panel]), abs=1e-7)


def test_the_report_is_made_offline(built):
    done = built.miniature("figures", "--report", "report.html")
    assert done.returncode == 0, done.stdout
    page = (built / "report.html").read_text()
    assert all(name in page for name in NAMES) and "accuracy.tsv" in page


def test_another_format_is_one_key(built):
    done = built.miniature("figures/miniature/token_importance.svg", "figures/miniature/token_importance.pdf")
    assert done.returncode == 0, done.stdout
    assert (built / "figures/miniature/token_importance.svg").read_text().startswith("<?xml")
    assert (built / "figures/miniature/token_importance.pdf").read_bytes().startswith(b"%PDF")
    for path in ("svg", "pdf"):
        (built / f"figures/miniature/token_importance.{path}").unlink()
