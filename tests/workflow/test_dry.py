"""What Snakemake says before any job starts: plans, bad configs, a missing network."""

import subprocess
import sys

import pytest
from checkout import Checkout, planned

pytestmark = pytest.mark.workflow
NO_HUB = "http://127.0.0.1:9"  # the discard port: nothing listens there


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("dry") / "lmrep")


def test_the_article_is_planned_offline_and_in_full(checkout):
    plan = checkout.run("-n", "--cores", "1", "figures", HF_ENDPOINT=NO_HUB)
    jobs = planned(plan)
    expected = {"fetch_weights": 3, "fetch_image": 2, "optimise_run": 15, "measure_run": 15, "merge_tables": 1,
                "draw_diagram": 1, "draw_features": 3, "draw_reconstructions": 2, "draw_accuracy": 1,
                "draw_importance": 1, "draw_inversion": 1}  # fmt: skip
    assert {rule: jobs[rule] for rule in expected} == expected
    assert "figures/vit_vs_gpt2_representation_2.png" in plan.stdout


def test_evidence_is_planned_too(checkout):
    plan = checkout.run("-n", "--cores", "1", "evidence", HF_ENDPOINT=NO_HUB)
    jobs = planned(plan)
    expected = {"draw_accuracy": 2, "draw_causality": 1, "draw_regime": 1, "merge_evidence": 1,
                "compare_candidates": 2, "judge_claims": 1, "draw_claims": 1}  # fmt: skip
    assert {rule: jobs[rule] for rule in expected} == expected


def test_planning_imports_no_torch(checkout):
    program = (
        "import sys\nfrom snakemake.cli import main\n"
        "try:\n    main(['-n', '--cores', '1', 'figures', '--quiet'])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules and 'lmrep.study' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=checkout.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_one_figure_needs_only_its_own(checkout):
    assert checkout.planned("figures/miniature/gpt2_features_viz.png") == {
        "optimise_run": 1, "draw_features": 1
    }  # fmt: skip
    assert checkout.planned("figures/miniature/vit_vs_gpt2_representation.png") == {
        "fetch_image": 2, "optimise_run": 2, "measure_run": 2, "draw_reconstructions": 1
    }  # fmt: skip
    assert checkout.planned("figures/miniature/transformer_activation_explained.png") == {
        "fetch_image": 1, "trace_probe": 1, "draw_diagram": 1
    }  # fmt: skip


def test_an_untrained_stack_needs_no_weights_of_its_own(checkout):
    target, cached = "results/article/runs/gpt2_match_untrained.safetensors", {"HF_HOME": str(checkout / "hf")}
    plan = checkout.run("-n", "--cores", "1", target, HF_ENDPOINT=NO_HUB, **cached)
    assert planned(plan)["fetch_weights"] == 1


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("seed=abc", "lmrep: config: seed: 'abc' is not of type 'integer'"),
        ('runs={"gpt2_neurons": {"probe": "bert"}}', "lmrep: runs.gpt2_neurons.probe: 'bert' is not one of probes"),
    ],
    ids=lambda text: text[:30],
)
def test_a_bad_config_ends_in_one_line_that_names_the_key(checkout, setting, expected):
    done = checkout.miniature("-n", "figures", "--config", setting)
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("lmrep: "))
    assert line.startswith(expected) and len(line) < 300
    assert "Traceback" not in done.stdout


def test_aliases_that_stand_for_a_billion_values_are_refused_at_once(checkout):
    lists = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))]
    (checkout / "many.yaml").write_text((checkout / "miniature.yaml").read_text() + "\n".join(lists))
    done = checkout.run("-n", "--cores", "1", "figures", "--configfile", "many.yaml")
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "lmrep: config: expected at most 200000 values"


def test_a_build_says_what_it_will_do_and_without_a_network_why_it_cannot(checkout):
    surroundings = {"HF_ENDPOINT": NO_HUB, "HF_HOME": str(checkout / "hf"), "CUDA_VISIBLE_DEVICES": ""}
    done = checkout.run("--cores", "1", "figures", **surroundings)
    assert done.returncode == 1
    said = [line for line in done.stdout.splitlines() if line.startswith("lmrep: ")]
    assert "study article, on the CPU" in said[0] and "15 of 77 runs" in said[0]
    assert "gpt2 (548 MB)" in said[1] and "github.com" in said[1] and "127.0.0.1:9" in said[1]
    assert "the runs will take about" in said[2] and "--configfile miniature.yaml" in said[2]
    lines = done.stdout.splitlines()
    assert "cannot reach 127.0.0.1:9 for gpt2" in lines[-1]
    assert "snakemake --cores all figures --configfile miniature.yaml" in lines[-1]
    assert "Traceback" not in done.stdout
    assert not (checkout / "resources/weights").exists()


def test_an_endpoint_that_is_no_address_is_refused_in_one_line(checkout):
    done = checkout.run("--cores", "1", "figures", HF_ENDPOINT="huggingface.co", HF_HOME=str(checkout / "hf"))
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert "HF_ENDPOINT" in done.stdout.splitlines()[-1]


def test_a_gpu_that_is_not_there_is_missed_before_any_job(checkout):
    asked = ("figures", "--configfile", "miniature.yaml", "--config", "device=cuda")
    done = checkout.run("--cores", "1", *asked, CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1 and "Traceback" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith("lmrep: device: cuda was asked for")
    assert not (checkout / "results").exists()


def test_lint_finds_nothing_that_we_did_not_choose(checkout):
    """We have no containers, and keep the input functions of a stage beside its rules."""
    lint = checkout.run("--lint")
    wishes = [line.strip() for line in lint.stdout.splitlines() if line.strip().startswith("* ")]
    assert wishes, lint.stdout
    assert all("container" in wish or "Mixed rules and functions" in wish for wish in wishes), lint.stdout
