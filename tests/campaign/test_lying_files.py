"""Run files and tables that are not what the study says."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import counts
import numpy as np
import pytest
import tiny

from lmrep.files import OF_PANELS, ArrayFile, merge_layers, write_arrays
from lmrep.metrics.reading import ARRAYS, OF_MATCH, read_run, read_run_table
from lmrep.metrics.tables import TABLES
from lmrep.metrics.tsv import write_table
from lmrep.study.spec import Run

RUN = tiny.tiny_run("match", ("a", "b"))


def arrays_of(run: Run) -> ArrayFile:
    """A run file of `run` as `experiment.perform` makes it, with random numbers."""
    rng, size = np.random.default_rng(0), run.probe.stem.size
    sizes = {"layers": len(run.layers), "panels": len(run.panels), "passes": run.descent.steps}
    sizes |= dict.fromkeys(("side", "first side"), size)
    shapes = {name: [sizes.get(axis, axis) for axis in shape] for name, shape in (ARRAYS | OF_MATCH).items()}
    facts = {
        "run": run.name, "objective": run.objective, "weights": run.weights, "layers": list(run.layers),
        "panels": list(run.panels), "size": size, "grid": run.probe.stem.grid, "optimiser": run.descent.optimiser,
        "passes": run.descent.steps, "seeds": {"run": run.seed}, "probe": run.probe.name, "device": "cpu",
        "settings": {"layers": list(run.layers)},
    }  # fmt: skip
    return ArrayFile({name: rng.random(shape, dtype=np.float32) for name, shape in shapes.items()}, facts)


def spoilt(**changes: object) -> bytes:
    """A run file with some arrays and facts changed; None leaves one out."""
    file = arrays_of(RUN)
    for name, value in changes.items():
        group = file.arrays if name in file.arrays else file.facts
        if value is None:
            del group[name]
        else:
            group[name] = value
    return saved(lambda path: write_arrays(path, file.arrays, file.facts))


def saved(write: Callable[[Path], None]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "file"))
        return Path(folder, "file").read_bytes()


WHOLE = arrays_of(RUN)
IMAGES = WHOLE["images"]
RUN_FILES: dict[str, tuple[bytes, tuple[str, ...] | None]] = {
    "whole": (spoilt(), None),
    "cut": (spoilt()[:-9], ()),
    "with more behind": (spoilt() + b"more", ()),
    "empty": (b"", ()),
    "of another run": (spoilt(run="other"), ("run",)),
    "of another objective": (spoilt(objective="neuron"), ("objective",)),
    "of fewer layers": (spoilt(layers=[1, 2]), ("layers",)),
    "of other panels": (spoilt(panels=["a", "c"]), ("panels",)),
    "of another seed": (spoilt(seeds={"run": 8}), ("seeds",)),
    "of another grid": (spoilt(grid=5), ("grid",)),
    "with layers that are no list": (spoilt(layers=3), ("layers",)),
    "with NaN": (spoilt(images=np.where(IMAGES > 0.99, np.nan, IMAGES)), ("images", "finite")),
    "with an infinite loss": (spoilt(loss=np.full_like(WHOLE["loss"], np.inf)), ("loss", "finite")),
    "with too few panels": (spoilt(images=IMAGES[:, :1]), ("images",)),
    "with other sizes": (spoilt(images=IMAGES[..., :-1]), ("images",)),
    "with an axis less": (spoilt(targets=WHOLE["targets"][0]), ("targets",)),
    "with no settings": (spoilt(settings=None), None),  # only a merge reads them
    **{f"without {name}": (spoilt(**{name: None}), (name,)) for name in ARRAYS | OF_MATCH},
    **{f"without its {name}": (spoilt(**{name: None}), (name,)) for name in ("run", "layers", "panels", "grid")},
}  # fmt: skip


@pytest.mark.parametrize("case", RUN_FILES)
def test_a_run_file(tmp_path, case):
    data, says = RUN_FILES[case]
    (tmp_path / "run.safetensors").write_bytes(data)

    def measure() -> None:
        run = read_run(tmp_path / "run.safetensors", RUN)
        run.facts["probe"] = "renamed"
        for table in TABLES.values():
            list(table.rows(run))

    says = says if says is None else ("run.safetensors", *says)
    wrong = counts.judge("run files", case, measure, says)
    assert not wrong, "\n".join(wrong)


def test_shards_that_do_not_belong_together():
    def part(layers: list[int], **changes: object) -> ArrayFile:
        rows = [layer - 1 for layer in layers]
        arrays = {name: array if name in OF_PANELS else array[rows] for name, array in WHOLE.arrays.items()}
        facts = {**WHOLE.facts, "layers": layers, "settings": {"layers": layers}}
        for name, value in changes.items():
            (arrays if name in arrays else facts)[name] = value
        return ArrayFile(arrays, facts, f"shards/{layers[0]}.safetensors")

    cases = {
        "whole": ([part([1, 3]), part([2])], None),
        "a layer twice": ([part([1, 2]), part([2, 3])], ("2", "shards/2")),
        "a layer missing": ([part([1]), part([3])], ("2",)),
        "other targets": ([part([1]), part([2, 3], targets=np.zeros_like(WHOLE["targets"]))], ("targets",)),
        "another precision": ([part([1]), part([2, 3], precision="bfloat16")], ("precision",)),
        "another seed": ([part([1]), part([2, 3], seeds={"run": 9})], ("seeds",)),
    }
    wrong = []
    for case, (parts, says) in cases.items():
        wrong += counts.judge("run files", f"shards, {case}", lambda parts=parts: merge_layers(parts, (1, 2, 3)), says)
    assert not wrong, "\n".join(wrong)


TEXT = saved(lambda path: write_table(path, TABLES["accuracy"], TABLES["accuracy"].rows(WHOLE))).decode()
HEAD, *ROWS = TEXT.splitlines(keepends=True)
CELLS = ROWS[0].split("\t")
PLACES = {column: place for place, column in enumerate(TABLES["accuracy"].columns)}


def cell(column: str, text: str) -> bytes:
    """The table with another text in one cell of its first row."""
    changed = [text if place == PLACES[column] else entry for place, entry in enumerate(CELLS)]
    return "".join([HEAD, "\t".join(changed), *ROWS[1:]]).encode()


TABLE_FILES: dict[str, tuple[bytes, tuple[str, ...] | None]] = {
    "whole": (TEXT.encode(), None),
    "without the last new line": (TEXT.encode()[:-1], None),
    "infinite": (cell("psnr", "inf"), None),
    "empty": (b"", ("columns",)),
    "only its columns": (HEAD.encode(), ("no row",)),
    "a row less": ("".join([HEAD, *ROWS[1:]]).encode(), ("no row",)),
    "a row twice": ((TEXT + ROWS[0]).encode(), ("two rows",)),
    "a row cut": (TEXT.encode()[:-30], ()),
    "a cell more": ((TEXT[:-1] + "\t1\n").encode(), ()),
    "other columns": (TEXT.replace("ssim", "mse").encode(), ("columns",)),
    "columns in another order": ("\t".join(reversed(HEAD[:-1].split("\t"))).encode(), ("columns",)),
    "commas": (TEXT.replace("\t", ",").encode(), ("columns",)),
    "binary": (bytes(range(256)) * 9, ()),
    "UTF-16": (TEXT.encode("utf-16"), ()),
    "a cell of a megabyte": (cell("image", "a" * 2**20), ()),
    "a quote that does not end": (cell("image", '"a'), ()),
    "a NUL": (cell("image", "a\0"), ()),
    **{f"ssim {text!r}": (cell("ssim", text), ("ssim",)) for text in ("nan", "", "one", "0,5")},
    **{f"layer {text!r}": (cell("layer", text), ("layer",)) for text in ("1.5", "nan", "", "9", "-1")},
    "another run": (cell("run", "other"), ("run",)),
    "another image": (cell("image", "c"), ("image",)),
    "another seed": (cell("seed", "8"), ("seed",)),
    "converged maybe": (cell("converged", "maybe"), ("converged",)),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE_FILES)
def test_a_table(tmp_path, case):
    data, says = TABLE_FILES[case]
    (tmp_path / "accuracy.tsv").write_bytes(data)
    says = says if says is None else ("accuracy.tsv", *says)
    wrong = counts.judge("tables", case, lambda: read_run_table(tmp_path / "accuracy.tsv", "accuracy", RUN), says)
    assert not wrong, "\n".join(wrong)
