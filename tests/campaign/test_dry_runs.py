"""Broken configs through the real `snakemake -n`: one line of ours, soon, and nothing written."""

import os
import time

import counts
import mutants
import pytest
import yaml
from checkout import Checkout
from crossed import crossed
from mutants import KEYS, STUDIES

pytestmark = pytest.mark.workflow
GROUP = "dry runs"
MADE = ("results", "resources", "figures", "weights.lock.json")
# Texts in place of a config, and what the line contains. Snakemake reads a file before we do, and its own line counts.
TEXTS = {
    "a key twice": (lambda text: f"{text}\nseed: 2\n", ("seed", "twice")),
    "a section twice": (lambda text: f"{text}\nfigures: {{}}\n", ("figures", "twice")),
    "an entry twice": (
        lambda text: text.replace("weights:\n", "weights:\n  x: {label: a}\n  x: 1\n"),
        ("'x'", "twice"),
    ),
    "itself inside": (lambda text: text.replace("study: miniature", "study: &a [*a]"), ("study",)),
}
ENVIRONMENTS = {  # variables that a dry run reads, and what the line contains; None: accepted
    "LMREP_BUILD=abc": ({"LMREP_BUILD": "abc"}, ("LMREP_BUILD",)),
    "HF_ENDPOINT=http://[::1": ({"HF_ENDPOINT": "http://[::1"}, None),
    "CUDA_VISIBLE_DEVICES=0,": ({"CUDA_VISIBLE_DEVICES": "0,"}, None),
    "an nvidia-smi that hangs": ({"PATH": f"bin{os.pathsep}{os.environ['PATH']}"}, None),
}


def chosen() -> list[tuple[str, mutants.Keys, object, tuple[str, ...]]]:
    """(study, keys, value, what the line contains): a value from the schema for every key, and some that are crossed.

    Another study and another wrong value for each key, so that all kinds of both occur.
    """
    found = []
    for place, (pattern, allowed) in enumerate((keys, sub) for keys, sub in KEYS.items() if keys):
        spots = mutants.spots(pattern)
        name, keys = spots[place % len(spots)]
        wrong = mutants.wrong_values(allowed, keys[-1], mutants.at(STUDIES[name], keys))
        wrong = [value for value in wrong if not isinstance(value, int) or abs(value) < 10**30]  # YAML in hex
        found.append((name, keys, wrong[place % len(wrong)], (str(keys[0]),)))
    mixed = [(name, *mutant) for name in STUDIES for mutant in crossed(STUDIES[name])]
    return found[:: 2 if counts.FULL else 60] + mixed[:: 60 if counts.FULL else 900]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("campaign") / "lmrep")


@pytest.fixture(scope="module")
def patience(checkout):
    """The seconds that a dry run may take: 10, or three times what a good one takes on a busy machine."""
    begun = time.monotonic()
    assert checkout.miniature("-n", "figures").returncode == 0
    return max(counts.SECONDS, 3 * (time.monotonic() - begun))


def judged(checkout, case, seconds, config, says, environment=()):
    """What is wrong with a dry run of the text `config`."""
    (checkout / "broken.yaml").write_text(config)
    before = checkout.bytes_of(*MADE)
    return counts.judge(
        GROUP, case,
        lambda: counts.line_of(
            checkout.run("-n", "--cores", "1", "figures", "--configfile", "broken.yaml", **dict(environment))
        ),
        says, seconds, left=lambda: sorted(checkout.bytes_of(*MADE).keys() ^ before.keys()),
    )  # fmt: skip


@pytest.mark.parametrize("mutant", chosen(), ids=lambda mutant: f"{mutant[0]}.{'.'.join(map(str, mutant[1]))}")
def test_a_dry_run_refuses_a_broken_config(checkout, patience, mutant):
    name, keys, value, says = mutant
    config = yaml.safe_dump(mutants.changed(STUDIES[name], keys, value), sort_keys=False)
    case = f"{name}.{'.'.join(map(str, keys))} = {counts.short(value)}"
    wrong = judged(checkout, case, patience, config, says)
    assert not wrong, "\n".join(wrong)


@counts.full_only
@pytest.mark.parametrize("case", TEXTS)
def test_a_dry_run_refuses_a_broken_file(checkout, patience, case):
    change, says = TEXTS[case]
    wrong = judged(checkout, case, patience, change((checkout / "miniature.yaml").read_text()), says)
    assert not wrong, "\n".join(wrong)


@counts.full_only
@pytest.mark.parametrize("case", ENVIRONMENTS)
def test_a_dry_run_does_not_break_on_its_environment(checkout, patience, case):
    (checkout / "bin").mkdir(exist_ok=True)
    (checkout / "bin/nvidia-smi").write_text("#!/bin/sh\nsleep 300\n")
    (checkout / "bin/nvidia-smi").chmod(0o755)
    config = (checkout / "miniature.yaml").read_text()
    assert "device: cpu" in config
    config = config.replace("device: cpu", "device: auto")
    variables, says = ENVIRONMENTS[case]
    wrong = judged(checkout, case, patience, config, says, variables)
    assert not wrong, "\n".join(wrong)
