"""The numbers of claims.json are those of the run files, by another way to them."""

import json

import pytest
import yaml
from checkout import Checkout, keep, octaves_of
from recomputed import check_claims

pytestmark = [pytest.mark.workflow, pytest.mark.build]
RUNS = (
    "gpt2_neurons", "gpt2_neurons_jittered", "gpt2_unmasked_neurons", "gpt2_neurons_untrained", "vit_base_neurons",
    "gpt2_patches", "vit_base_patches", "gpt2_match", "gpt2_inverted", "gpt2_inverted_untrained", "vit_base_inverted",
)  # fmt: skip


def few_runs_of_few_steps(config):
    keep(config, RUNS)
    for octave in octaves_of(config):
        octave["steps"] = min(octave["steps"], 6)


def test_every_number_of_the_claims_can_be_recomputed_with_numpy(tmp_path):
    checkout = Checkout(tmp_path / "lmrep")
    checkout.edit("miniature.yaml", few_runs_of_few_steps)
    done = checkout.miniature("report")
    assert done.returncode == 0, done.stdout[-4000:]
    assert (checkout / "figures/miniature/claims.md").is_file()
    page = (checkout / "figures/miniature/report.html").read_text()
    assert all(name in page for name in ("claims.png", "claims.md", "representational_accuracy.png", "accuracy.tsv"))
    results, config = checkout / "results/miniature", yaml.safe_load((checkout / "miniature.yaml").read_text())
    assert check_claims(results, config) > 80
    entries = json.loads((results / "claims.json").read_text())
    assert {entry["claim"] for entry in entries if entry["number"] is not None} >= {
        "patterns_begin_first", "falls_not_along_a_line", "start_matters_more_plain", "order_is_the_masks",
        "patch_reaches_back_only", "language_is_less_self_attentive", "early_holds_less_than_vision",
        "early_is_recognisable", "first_rows_are_worst", "trained_holds_less",
    }  # fmt: skip
    entries[0]["number"] += 0.1
    (results / "claims.json").write_text(json.dumps(entries))
    with pytest.raises(AssertionError):
        check_claims(results, config)
