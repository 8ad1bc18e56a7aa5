"""Valid configs are accepted, and give the study that they describe."""

from typing import Any

import counts
import mutants
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from mutants import STUDIES
from neighbours import near, studies
from test_broken_configs import here  # noqa: F401


def check_made(config: dict[str, Any]) -> None:
    """The study has what the config says."""
    study = mutants.study_of(config)
    assert (study.name, list(study.runs), list(study.figures)) == (
        config["study"], list(config["runs"]), list(config["figures"])
    )  # fmt: skip
    for name, run in study.runs.items():
        asked = config["runs"][name]
        wanted = next(asked[key] for key in ("neurons", "patches", "images") if key in asked)
        count = int(wanted) if isinstance(wanted, int | float) else len(wanted)
        depth = config["weights"][config["probes"][asked["probe"]]["stack"]]["depth"]
        assert len(run.panels) == count * len(asked.get("seeds", [0]))
        assert run.layers == tuple(range(1, depth + 1) if asked["layers"] == "all" else sorted(asked["layers"]))


@pytest.mark.parametrize("name", STUDIES)
def test_neighbours_of_a_shipped_study_are_accepted(name):
    wrong: list[str] = []
    for keys, value in near(STUDIES[name]):
        config = mutants.changed(STUDIES[name], keys, value)
        shown = "deleted" if value is mutants.DELETED else counts.short(value)
        case = f"{name}.{'.'.join(keys)} = {shown}"
        wrong += counts.judge("configs, valid", case, lambda config=config: check_made(config), None)
    assert not wrong, "\n".join(wrong)


def test_studies_of_any_kinds_that_go_together_are_accepted():
    wrong: list[str] = []

    @settings(
        max_examples=600 if counts.FULL else 150, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(studies())
    def check(config: dict[str, Any]) -> None:
        wrong.extend(counts.judge("configs, valid", f"made {config}", lambda: check_made(config), None))

    check()
    assert not wrong, "\n".join(wrong)
