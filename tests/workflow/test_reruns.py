"""A short build of the miniature study: its files, what reruns and what does not."""

import hashlib
import os
import shutil
import sys

import numpy as np
import pytest
import yaml
from checkout import append

from lmrep.files import read_arrays
from lmrep.metrics.measures import ssim
from lmrep.metrics.tables import TABLES
from lmrep.metrics.tsv import read_table
from lmrep.workflow.report import write_report

pytestmark = [pytest.mark.workflow, pytest.mark.build]
NAMES = [
    "transformer_activation_explained", "gpt2_features_viz", "gpt2_features_viz_2", "gpt2_features_viz_3",
    "vit_vs_gpt2_representation", "vit_vs_gpt2_representation_2", "representational_accuracy", "token_importance",
    "inversion",
]  # fmt: skip
RUNS = 7  # that the figures show; the others belong to evidence
SOURCES = ("miniature.yaml", "lmrep", "rules", "scripts", "figures/captions", "resources/miniature")


@pytest.fixture
def restored(whole):
    """The build, with its sources put back after the test as they were, times included."""
    paths = [path for source in SOURCES for path in [whole / source, *(whole / source).rglob("*")]]
    kept = {path: (path.read_bytes(), path.stat()) for path in paths if path.is_file()}
    yield whole
    for path, (content, times) in kept.items():
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def call_gpt2(config, name):
    """Gives the GPT-2 another name under `weights`."""
    config["weights"][name] = config["weights"].pop("gpt2_mini")
    for probe in config["probes"].values():
        probe["stack"] = probe["stack"].replace("gpt2_mini", name)


def replace_in(path, old, new):
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new, 1))


def test_all_figures_are_there_and_a_second_call_has_nothing_to_do(whole):
    assert {path.stem for path in (whole / "figures/miniature").iterdir()} > set(NAMES)
    assert "Nothing to be done" in whole.miniature("figures").stdout


def test_a_deleted_figure_is_remade_alone(whole):
    path = whole / "figures/miniature/gpt2_features_viz_3.png"
    before = path.read_bytes()
    path.unlink()
    assert whole.planned("figures") == {"draw_features": 1, "figures": 1}
    assert whole.miniature("figures").returncode == 0
    assert path.read_bytes() == before


def test_other_steps_rerun_their_run_and_what_depends_on_it(restored):
    def change(config):
        config["runs"]["gpt2_inverted_untrained"]["octaves"] = [{"size": 66, "steps": 3}]

    restored.edit("miniature.yaml", change)
    assert restored.planned("figures") == {
        "optimise_run": 1, "measure_run": 1, "merge_tables": 1, "draw_accuracy": 1, "record_study": 1, "figures": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("module", "old", "new", "rules"),
    [
        ("descent/descend", "rate * rates", "rate / rates", {"optimise_run": RUNS, "measure_run": RUNS}),
        ("probe/block", "self.norm2(tokens)", "self.norm1(tokens)", {"optimise_run": RUNS, "trace_probe": 1}),
        ("metrics/measures", "ratio < 1", "ratio < 2", {"measure_run": RUNS, "merge_tables": 1}),
    ],
)
def test_an_edit_of_a_formula_reruns_what_depends_on_it(restored, module, old, new, rules):
    replace_in(restored / f"lmrep/{module}.py", old, new)
    plan = restored.planned("figures")
    assert {rule: plan.get(rule) for rule in rules} == rules
    assert "fetch_weights" not in plan and "fetch_image" not in plan


def test_an_edit_of_a_chart_redraws_its_figures_only(restored):
    append(restored / "lmrep/figures/charts.py", "\nEDITED = True\n")
    assert restored.planned("figures") == {"draw_accuracy": 1, "figures": 1}


def test_another_label_of_an_optimiser_redraws_figures_and_runs_nothing(restored):
    replace_in(restored / "lmrep/study/kinds.py", '"L-BFGS"', '"LBFGS"')
    plan = restored.planned("evidence")
    assert {"draw_accuracy", "draw_explorer", "judge_claims"} <= plan.keys()
    assert not {"optimise_run", "measure_run", "trace_probe"} & plan.keys()


def test_comments_docstrings_and_touched_files_rerun_nothing(restored):
    append(restored / "lmrep/probe/block.py", "\n# a comment\n")
    append(restored / "scripts/optimise_run.py", "\n# a comment\n")
    replace_in(restored / "lmrep/descent/objectives.py", '"""', '"""Better words. ')
    for folder in ("lmrep", "rules", "scripts", "resources"):
        for path in (restored / folder).rglob("*"):
            os.utime(path)
    assert restored.planned("figures") == {}


def test_another_label_redraws_what_shows_it_and_runs_nothing(restored):
    restored.edit("miniature.yaml", lambda config: config["probes"]["vit_base"].update(label="Base"))
    plan = restored.planned("figures")
    assert plan == {"draw_accuracy": 1, "draw_inversion": 1, "record_study": 1, "figures": 1}


def test_other_names_of_weights_and_a_pin_run_nothing(restored):
    def rename(config):
        call_gpt2(config, "your_gpt2")  # now after the stem, by name
        del config["weights"]["vit_base_mini"]["sha256"]

    restored.edit("miniature.yaml", rename)
    assert "optimise_run" not in restored.planned("figures")


def test_another_order_of_probes_is_judged_again_and_runs_nothing(restored):
    """The first probe of a model is the one that is asked."""

    def reverse(config):
        config["probes"] = dict(reversed(config["probes"].items()))

    restored.edit("miniature.yaml", reverse)
    plan = restored.planned("evidence")
    assert "judge_claims" in plan
    assert not {"optimise_run", "measure_run", "trace_probe"} & plan.keys()


def test_another_number_of_threads_reruns_all_that_they_round(restored):
    restored.edit("miniature.yaml", lambda config: config.update(threads=2))
    plan = restored.planned("figures")
    assert (plan["optimise_run"], plan["trace_probe"]) == (RUNS, 1)


def test_another_number_of_jobs_reruns_nothing(restored):
    restored.edit("miniature.yaml", lambda config: config.update(jobs_per_run=3))
    assert restored.planned("figures") == {"record_study": 1, "figures": 1}


def test_a_further_panel_is_another_run(restored):
    restored.edit("miniature.yaml", lambda config: config["runs"]["gpt2_neurons"].update(neurons=17))
    assert restored.planned("figures")["optimise_run"] == 1


def test_other_content_of_a_weight_file_reruns_the_runs_that_read_it(restored):
    shutil.copy(restored / "resources/miniature/vit_base_mini.safetensors",
                restored / "resources/miniature/gpt2_mini.safetensors")  # fmt: skip
    restored.edit("miniature.yaml", lambda config: config["weights"]["gpt2_mini"].pop("sha256"))
    plan = restored.planned("figures")
    # Five runs and the trace read the trained GPT-2.
    assert (plan["optimise_run"], plan["trace_probe"]) == (5, 1)


def test_a_second_study_reruns_nothing_in_the_first_nor_in_itself(restored):
    config = yaml.safe_load((restored / "miniature.yaml").read_text())
    config["study"] = "second"
    call_gpt2(config, "also_gpt2")
    (restored / "second.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    target = "figures/second/token_importance.png"
    done = restored.run("--cores", "2", target, "--configfile", "second.yaml")
    assert done.returncode == 0, done.stdout[-4000:]
    assert restored.planned("figures") == {}
    again = restored.run("--cores", "2", target, "--configfile", "second.yaml")
    assert "Nothing to be done" in again.stdout
    shutil.rmtree(restored / "results/second")
    shutil.rmtree(restored / "figures/second")


def test_no_output_names_a_folder(whole):
    for path, content in whole.bytes_of(
        "figures/miniature", "results/miniature/runs", "results/miniature/metrics"
    ).items():
        assert str(whole.built_in).encode() not in content, path


def test_after_the_chosen_patch_gpt2_changes_nothing_and_the_vit_does(whole):
    changes = {}
    for row in read_table(whole / "results/miniature/evidence/patches.tsv", TABLES["patches"]):
        if row["run"].endswith("_patches") and row["patch"] > int(row["panel"]):
            changes.setdefault((row["run"], row["layer"], row["panel"]), []).append(row["change"])
    gpt2 = [values for (run, *_), values in changes.items() if run == "gpt2_patches"]
    vit = [values for (run, *_), values in changes.items() if run == "vit_base_patches"]
    assert len(gpt2) == len(vit) == 4 * 16
    assert all(change == 0 for values in gpt2 for change in values)
    assert all(change > 0 for values in vit for change in values)


def test_the_tables_ssim_is_that_of_the_run_files(whole):
    rows = read_table(whole / "results/miniature/metrics/accuracy.tsv", TABLES["accuracy"])
    assert len(rows) == 4 * 2 * 6  # four runs of two photographs and six blocks
    runs = {row["run"]: read_arrays(whole / f"results/miniature/runs/{row['run']}.safetensors") for row in rows}
    for row in rows:
        run = runs[row["run"]]
        assert run["images"].dtype == np.float32
        assert (run.facts["probe"], run.facts["weights"]) == (row["probe"], row["weights"])
        panel = run.facts["panels"].index(row["image"])
        image = run["images"][run.facts["layers"].index(row["layer"]), panel]
        assert row["ssim"] == pytest.approx(ssim(image, run["targets"][panel]), abs=1e-7)


def test_a_run_file_names_the_weights_that_it_was_made_from(whole):
    run = read_arrays(whole / "results/miniature/runs/gpt2_match.safetensors")
    for name, digest in run.facts["weight_files"].items():
        kept = whole / f"resources/miniature/{name}.safetensors"
        assert hashlib.sha256(kept.read_bytes()).hexdigest() == digest


def test_a_page_that_cannot_be_made_says_where_to_look(whole, tmp_path, monkeypatch):
    command = [sys.executable, "-m", "snakemake", "--configfile", "miniature.yaml", "--report"]
    page, log = tmp_path / "page.html", tmp_path / "log.txt"
    monkeypatch.chdir(whole.folder)
    with log.open("w") as file, pytest.raises(RuntimeError, match=r"exit status 1\): see .*log\.txt"):
        write_report(command, ["nothing"], page, file)
    assert "nothing" in log.read_text() and not page.exists()


def test_another_format_is_one_key(whole):
    done = whole.miniature("figures/miniature/token_importance.svg", "figures/miniature/token_importance.pdf")
    assert done.returncode == 0, done.stdout
    assert (whole / "figures/miniature/token_importance.svg").read_text().startswith("<?xml")
    assert (whole / "figures/miniature/token_importance.pdf").read_bytes().startswith(b"%PDF")
    for path in ("svg", "pdf"):
        (whole / f"figures/miniature/token_importance.{path}").unlink()
