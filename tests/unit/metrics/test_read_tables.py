"""Run files, tables and traces that are edited, cut short or of another run are refused with the file and the rows."""

import re
from dataclasses import replace

import numpy as np
import pytest
import tiny

from lmrep.errors import InputError
from lmrep.files import write_arrays
from lmrep.metrics.reading import read_inputs, read_run, read_run_table, read_trace
from lmrep.metrics.tables import TABLES
from lmrep.metrics.tsv import write_table

RUNS = {
    "neuron": tiny.tiny_run("neuron", (2, 5)),
    "patch": tiny.tiny_run("patch", (4, 0)),
    "match": tiny.tiny_run("match", ("cat", "coil")),
    "seeds": tiny.tiny_run("match", ("cat", "cat"), panel_seeds=(0, 1)),
}
RNG = np.random.default_rng(0)


def run_file(spec, **changes):
    """Arrays and facts of a run's file. `changes`: of its facts."""
    layers, panels, size = len(spec.layers), len(spec.panels), spec.probe.stem.size
    pictures = (layers, panels, 3, size, size)
    shapes = {"images": pictures, "initial": pictures, "baseline": pictures[1:], "loss": (layers, spec.descent.steps)}
    if spec.matches:
        shapes |= {"targets": pictures[1:], "shifted": pictures[1:], "earlier": pictures}
        shapes |= {"output_distance": pictures[:2], "shifted_output_distance": pictures[:2]}
    seeds = {"run": spec.seed} | ({"panels": list(spec.panel_seeds)} if spec.panel_seeds else {})
    facts = {
        "run": spec.name, "objective": spec.objective, "probe": spec.probe.name, "weights": spec.weights,
        "layers": list(spec.layers), "panels": list(spec.panels), "size": size, "grid": spec.probe.stem.grid,
        "seeds": seeds, "optimiser": spec.descent.optimiser, "passes": spec.descent.steps,
    }  # fmt: skip
    return {name: RNG.random(shape, dtype=np.float32) for name, shape in shapes.items()}, facts | changes


def written(folder, spec, **changes):
    write_arrays(folder / "run.safetensors", *run_file(spec, **changes))
    return folder / "run.safetensors"


def refusal(function, path, *arguments) -> str:
    """The one line that refuses a file, without the file's name and the advice at its end."""
    with pytest.raises(InputError) as refused:
        function(path, *arguments)
    line, advice = str(refused.value), f"; delete {path} and build again"
    assert line.startswith(f"{path}: ") and line.endswith(advice) and "\n" not in line
    return line.removeprefix(f"{path}: ").removesuffix(advice)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_run_file_that_the_study_describes_is_read(tmp_path, run):
    assert read_run(written(tmp_path, run, probe="an older name"), run).facts["layers"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"run": "other"}, "has run 'other', which is not what runs.tiny_match says"),
        ({"layers": [1, 3, 2]}, "has layers [1, 3, 2], which is not what runs.tiny_match says"),
        ({"panels": ["cat"], "grid": None}, "has panels ['cat'], grid None, which is not what runs.tiny_match says"),
        ({"weights": 5}, "has weights 5, which is not what runs.tiny_match says"),
        ({"seeds": {"run": 8}}, "has seeds {'run': 8}, which is not what runs.tiny_match says"),
    ],
)
def test_a_run_file_with_other_facts_is_refused(tmp_path, changes, line):
    run = RUNS["match"]
    assert refusal(read_run, written(tmp_path, run, **changes), run) == line


@pytest.mark.parametrize(
    "name", ["images", "initial", "baseline", "loss", "targets", "shifted", "earlier", "output_distance"]
)
def test_a_run_file_lacks_no_array_of_its_shape(tmp_path, name):
    run, path = RUNS["match"], tmp_path / "run.safetensors"
    for change, line in ((None, f"has no {name}"), (np.swapaxes, f"its {name} "), (np.nan, "are not all finite")):
        arrays, facts = run_file(run)
        if change is None:
            del arrays[name]
        elif change is np.swapaxes:
            arrays[name] = np.swapaxes(arrays[name], 0, 1)
        else:
            arrays[name].flat[-1] = change
        write_arrays(path, arrays, facts)
        assert line in refusal(read_run, path, run)


def test_a_run_file_cut_short_is_refused(tmp_path):
    path = written(tmp_path, RUNS["match"])
    path.write_bytes(path.read_bytes()[:-5])
    assert refusal(read_run, path, RUNS["match"]).startswith("not a readable safetensors file")


def table_of(folder, name, run):
    """The table that a build makes of the run, and its rows."""
    file = read_run(written(folder, run), run)
    file.facts["probe"] = run.probe.name
    rows = list(TABLES[name].rows(file))
    write_table(folder / "t.tsv", TABLES[name], rows)
    return folder / "t.tsv", rows


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_the_rows_of_its_run_and_no_others(tmp_path, name, run):
    path, rows = table_of(tmp_path, name, run)
    keys = [tuple(str(row[key]) if key == "panel" else row[key] for key in TABLES[name].keys) for row in rows]
    assert sorted(keys) == sorted(TABLES[name].wanted(run)) and len(set(keys)) == len(keys)
    assert len(read_run_table(path, name, run)) == len(rows)


@pytest.mark.parametrize(
    ("name", "kind", "row"),
    [
        ("accuracy", "match", "image cat, seed 7, layer 1"),
        ("accuracy", "seeds", "image cat, seed 0, layer 1"),
        ("rows", "match", "image cat, seed 7, layer 1, row 0"),
        ("patches", "neuron", "panel 2, seed 7, layer 1, patch 0"),
        ("order", "neuron", "layer 1"),
        ("reach", "patch", "layer 1"),
    ],
)
def test_a_row_that_is_missing_there_twice_or_of_another_run_is_named(tmp_path, name, kind, row):
    run = RUNS[kind]
    path, _ = table_of(tmp_path, name, run)
    head, first, *rest = path.read_text().splitlines(keepends=True)
    layer = list(TABLES[name].columns).index("layer")

    def says(*lines: str) -> str:
        path.write_text("".join(lines))
        return refusal(read_run_table, path, name, run)

    assert says(head, *rest) == f"has no row of {row}"
    assert says(head, first, first, *rest) == f"has two rows of {row}"
    foreign = re.sub(f"^{run.name}", "other", first)
    assert says(head, foreign, *rest) == f"line 2: run is 'other', expected '{run.name}'"
    spare = "\t".join("9" if place == layer else value for place, value in enumerate(first.split("\t")))
    assert (
        says(head, first, *rest, spare)
        == f"has rows that are not in runs.{run.name}: {row.replace('layer 1', 'layer 9')}"
    )
    assert says(head).startswith(f"has no row of {row}")


def test_a_message_names_a_few_rows_and_counts_the_others(tmp_path):
    run = RUNS["patch"]
    path, _ = table_of(tmp_path, "patches", run)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-5]))
    named = "; ".join(f"panel 0, seed 7, layer 3, patch {patch}" for patch in (11, 12, 13))
    assert refusal(read_run_table, path, "patches", run) == f"has no row of {named} and 2 more"


def test_a_table_of_other_weights_is_refused(tmp_path):
    run = RUNS["match"]
    path, _ = table_of(tmp_path, "accuracy", run)
    other = replace(run, weights="untrained")
    assert refusal(read_run_table, path, "accuracy", other) == "line 2: weights is 'trained', expected 'untrained'"


def test_a_figure_reads_all_its_inputs_whole(tmp_path):
    run = RUNS["match"]
    path, rows = table_of(tmp_path, "accuracy", run)
    found = {"runs": [str(tmp_path / "run.safetensors")], "accuracy": [str(path)]}
    inputs = read_inputs(found, [run])
    assert inputs["runs"].keys() == {run.name} and len(inputs["tables"]["accuracy"]) == len(rows)
    assert inputs["tables"]["patches"] == [] and inputs["trace"] is None
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match="has no row of image coil, seed 7, layer 3"):
        read_inputs(found, [run])


def trace_file(runs, **changes):
    spec = runs[0].probe
    stem, width, tokens = spec.stem, spec.stack.width, spec.stem.tokens
    arrays = {"image": (3, stem.size, stem.size), "tokens": (tokens, width), "activations": (3, tokens, width)}
    arrays |= {"kernels": (width, 3, stem.patch, stem.patch)}
    facts = {
        "layers": [1, 2, 3], "size": stem.size, "patch": stem.patch, "grid": stem.grid, "depth": spec.stack.depth,
        "first_token": stem.first_token, "basis": False, "causal": spec.masked, "neurons": [2, 5], "patches": [4, 0],
    }  # fmt: skip
    return {name: RNG.random(shape) for name, shape in arrays.items()}, facts | changes


def test_a_trace_is_that_of_its_figure(tmp_path):
    runs, path = [RUNS["neuron"], RUNS["patch"]], tmp_path / "trace.safetensors"
    arrays, facts = trace_file(runs)
    write_arrays(path, arrays, facts)
    assert read_trace(path, runs)["tokens"].shape == (17, 48)
    for changes, line in (
        ({"neurons": [9]}, "has neurons [9], which is not what runs.tiny_neuron says"),
        ({"first_token": "?"}, "has first_token '?', which is not what runs.tiny_neuron says"),
    ):
        write_arrays(path, arrays, facts | changes)
        assert refusal(read_trace, path, runs) == line
    write_arrays(path, arrays | {"tokens": arrays["tokens"].T}, facts)
    assert refusal(read_trace, path, runs) == (
        "its tokens [tokens, width] have the shape [48, 17], expected [17, 48]"
    )  # fmt: skip
