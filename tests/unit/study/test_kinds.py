"""The table of kinds names what exists, and every name leads to a function."""

import inspect

import pytest
from conftest import ROOT

from lmrep.probe.families import LAYOUTS
from lmrep.study import kinds

ENTRIES = {
    f"{table}.{name}": entry
    for table in ("FAMILIES", "STEMS", "OBJECTIVES", "OPTIMISERS", "METRICS", "FIGURES")
    for name, entry in getattr(kinds, table).items()
}


@pytest.mark.models
@pytest.mark.parametrize("name", ENTRIES)
def test_every_function_exists_and_takes_what_the_table_says(name):
    entry = ENTRIES[name]
    parameters = inspect.signature(kinds.load(entry.function)).parameters
    required = [p for p in parameters.values() if p.default is p.empty]
    arguments = {"FAMILIES": 5, "STEMS": 2, "OPTIMISERS": 2, "FIGURES": 1}  # of their callers
    given = arguments.get(name.partition(".")[0])
    given = len(entry.takes) if given is None else given
    assert len(required) <= given <= len(parameters)


def test_every_family_has_a_layout_and_its_stem_is_a_kind():
    ours = {name for name, family in kinds.FAMILIES.items() if not family.own_config}
    assert LAYOUTS.keys() == ours
    assert {family.stem for family in kinds.FAMILIES.values() if family.stem} <= kinds.STEMS.keys()


def test_every_kind_of_figure_has_a_caption_and_reads_what_there_is():
    for name, figure in kinds.FIGURES.items():
        assert (ROOT / f"figures/captions/{name}.rst").is_file()
        assert set(figure.reads) <= {"runs", "accuracy", "patches", "trace", "claims"}
        assert set(figure.objectives) <= kinds.OBJECTIVES.keys() and set(figure.needs) <= set(figure.keys)


def test_every_objective_lists_panels_that_a_run_can_have():
    assert {objective.panels for objective in kinds.OBJECTIVES.values()} <= kinds.PANELS.keys()
