"""A figure of claims is of all runs, and does not make them runs of `figures`."""

import copy

import pytest
import studies
import yaml
from conftest import ROOT

from lmrep.errors import InputError
from lmrep.study.kinds import FIGURES

CONFIG = yaml.safe_load((ROOT / "miniature.yaml").read_text())
CLAIMS = {"kind": "claims", "title": "x", "target": "evidence", "runs": "all"}


def study_of(**figures):
    config = copy.deepcopy(CONFIG)
    config["figures"] |= figures
    return studies.study_of(config)


def test_claims_are_of_all_runs():
    study = study_of(verdicts=CLAIMS)
    assert study.figures["verdicts"].runs == tuple(study.runs)
    assert [name for name, kind in FIGURES.items() if kind.runs == "all"] == ["claims"]


def test_a_run_that_only_claims_use_belongs_to_evidence():
    def names(target):
        return set(study_of(verdicts=CLAIMS).runs_of(target))

    shown = {run for figure in study_of().figures.values() if figure.target == "figures" for run in figure.runs}
    assert names("figures") == shown < names("evidence") == set(study_of().runs)


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (CLAIMS | {"runs": ["gpt2_neurons"]}, "figures.x.runs: expected all, as for every figure of the kind claims"),
        (
            CLAIMS | {"kind": "importance"},
            "figures.x.runs: expected a list of runs, as for every figure",
        ),
        (CLAIMS | {"runs": "some"}, "config: figures.x.runs: 'all' was expected"),
        (CLAIMS | {"image": "chelsea"}, "figures.x.image: a figure of the kind claims does not use it"),
    ],
)
def test_other_runs_are_refused_by_key(figure, expected):
    with pytest.raises(InputError, match=expected):
        study_of(x=figure)
