"""The claims of a finished build by another way: plain numpy, from the run files, without lmrep's metrics.

`check_claims` compares every value by block, and every number, with those in claims.json.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import safe_open

Array = np.ndarray
SEARCHES = ("preconditioned_lbfgs", "lbfgs", "adam", "gradient")
TOLERANCE = 1e-4  # of a value, in parts of it or of 1: float32 images, and tables of 9 digits
ROUGH = {  # claims whose values are searched for in other steps here
    "falls_not_along_a_line": 0.01,
    "one_block_keeps_most": 0.001,
}


class Found(NamedTuple):
    """One optimised image, and what it would be without gradients or should be."""

    image: Array
    baseline: Array
    target: Array | None
    grid: int
    patch: int  # the maximised one, if one was


class Cell(NamedTuple):
    panel: str
    seed: int
    block: int


Cells = Mapping[Cell, Any]


class Build:
    """The run files of a build, read once. `config`: of its study, as YAML has it."""

    def __init__(self, results: Path, config: Mapping[str, Any]):
        self.results, self.config, self.runs = results, config, {}
        for name in config["runs"]:
            with safe_open(results / "runs" / f"{name}.safetensors", framework="numpy") as file:
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # it is no mapping
                self.runs[name] = arrays, json.loads(file.metadata()["lmrep"])

    def family(self, probe: str) -> str:
        return str(self.config["weights"][self.config["probes"][probe]["stack"]]["family"])

    def width(self, probe: str) -> int:
        return int(self.config["weights"][self.config["probes"][probe]["stack"]]["width"])

    def depth(self, probe: str) -> int:
        return int(self.config["weights"][self.config["probes"][probe]["stack"]]["depth"])

    def masked(self, probe: str) -> bool:
        weights = self.config["weights"][self.config["probes"][probe]["stack"]]
        return bool(weights.get("causal", weights["family"] == "gpt2")) and "causal" not in self.config["probes"][probe]

    def names(
        self, objective: str, probe: str, weights: str = "trained", jittered: bool = False, but: str = ""
    ) -> list[str]:
        """The runs that ask this; of matches, only those of the best search that the probe has, except `but`."""
        fits = [
            name for name, (_, facts) in self.runs.items()
            if (facts["objective"], facts["probe"], facts["weights"]) == (objective, probe, weights)
        ]  # fmt: skip
        if objective != "match":
            return [name for name in fits if self.jittered(name) == jittered]
        used = {
            facts["optimiser"]
            for _, facts in self.runs.values()
            if (facts["objective"], facts["probe"]) == ("match", probe)
        }
        best = next((search for search in SEARCHES if search in used and search != but), "")
        return [name for name in fits if self.runs[name][1]["optimiser"] == best]

    def jittered(self, name: str) -> bool:
        facts = self.runs[name][1]
        octaves = facts["settings"]["descent"]["octaves"]
        return any(octave["sigma"] or octave["size"] > facts["size"] for octave in octaves)

    def cells(self, *asked: Any, **also: Any) -> dict[Cell, Found]:
        """The images of `names`, each once: of the first run that has it, and never of the stem."""
        found: dict[Cell, Found] = {}
        for name in self.names(*asked, **also):
            arrays, facts = self.runs[name]
            seeds = facts["seeds"].get("panels") or [facts["seeds"]["run"]] * len(facts["panels"])
            for place, block in enumerate(facts["layers"]):
                for index, panel in enumerate(facts["panels"]):
                    target = arrays["targets"][index] if "targets" in arrays else None
                    patch = panel if facts["objective"] == "patch" else -1
                    images = arrays["images"][place, index], arrays["baseline"][index]
                    if block:
                        found.setdefault(
                            Cell(str(panel), seeds[index], block), Found(*images, target, facts["grid"], patch)
                        )
        return found

    @cache  # noqa: B019  # one build a test
    def rows_of_candidates(self) -> dict[tuple[str, Cell], dict[str, list[float]]]:
        """The columns of the tables of candidates, which only the models can recompute."""
        found: dict[tuple[str, Cell], dict[str, list[float]]] = {}
        for path in (self.results / "candidates").glob("*.tsv"):
            names, *lines = (line.split("\t") for line in path.read_text().splitlines())
            for line in lines:
                row = dict(zip(names, line, strict=True))
                key = row["run"], Cell(row["image"], int(row["seed"]), int(row["layer"]))
                for column in ("ssim", "ssim_start", "correlation", "output_distance"):
                    found.setdefault(key, {}).setdefault(column, []).append(float(row[column]))
        return found


def side(size: int, grid: int) -> list[slice]:
    """The pixels of each patch along a side, bounds rounded to whole pixels."""
    bounds = [round(size * place / grid) for place in range(grid + 1)]
    return [slice(start, end) for start, end in pairwise(bounds)]


def changes(found: Found) -> Array:
    """The root mean square change of each patch, from the baseline."""
    error, parts = found.image.astype(float) - found.baseline, side(found.image.shape[-1], found.grid)
    return np.array([math.sqrt((error[:, rows, columns] ** 2).mean()) for rows in parts for columns in parts])


def local_ssim(image: Array, target: Array) -> Array:
    """SSIM around each pixel, mean over channels: a Gaussian window of 11 px, its edges mirrored."""
    offsets = np.arange(-5, 6)
    window = np.exp(-0.5 * (offsets / 1.5) ** 2)
    window /= window.sum()

    def blurred(pixels: Array) -> Array:
        padded = np.pad(pixels, ((0, 0), (5, 5), (5, 5)), mode="symmetric")
        for axis in (1, 2):
            padded = np.lib.stride_tricks.sliding_window_view(padded, 11, axis=axis) @ window
        return padded

    x, y = (np.clip(pixels, 0, 1).astype(float) for pixels in (image, target))
    mean_x, mean_y = blurred(x), blurred(y)
    var_x, var_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    both = blurred(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
    return (luminance * (2 * both + 9e-4) / (var_x + var_y + 9e-4)).mean(axis=0)


def similarity(found: Found) -> float:
    return float(local_ssim(found.image, found.target)[5:-5, 5:-5].mean())


def explained(found: Found) -> float:
    """The squared correlation with the photograph, with its sign."""
    assert found.target is not None
    one, other = (np.clip(pixels, 0, 1).astype(float).ravel() for pixels in (found.image, found.target))
    correlation = float(np.corrcoef(one, other)[0, 1])
    return correlation * abs(correlation)


def top_gap(found: Found) -> float:
    """SSIM of the other rows of patches minus that of the top quarter."""
    local = local_ssim(found.image, found.target)
    rows = [local[part].mean() for part in side(len(local), found.grid)]
    top = math.ceil(found.grid / 4)
    return float(np.mean(rows[top:]) - np.mean(rows[:top]))


@cache
def grey_floor(pixels: bytes, size: int) -> float:
    """The SSIM of the best of 101 flat greys."""
    target = np.frombuffer(pixels, np.float32).reshape(3, size, size)
    flats = (np.full_like(target, level) for level in np.linspace(0, 1, 101))
    return max(float(local_ssim(flat, target)[5:-5, 5:-5].mean()) for flat in flats)


def above_grey(found: Found) -> float:
    floor = grey_floor(np.ascontiguousarray(found.target, np.float32).tobytes(), found.target.shape[-1])
    return (similarity(found) - floor) / (1 - floor)


def high_frequency(found: Found) -> float:
    error = np.clip(found.image, 0, 1).astype(float) - np.clip(found.target, 0, 1)
    frequencies = np.fft.fftfreq(error.shape[-1])
    power = (np.abs(np.fft.fft2(error)) ** 2).sum(axis=0)
    return float(power[np.hypot(*np.meshgrid(frequencies, frequencies)) > 0.25].sum() / power.sum())


def spearman(values: Array) -> float:
    """By the ranks alone, equals sharing theirs."""
    ranks = np.array([(values < value).sum() + ((values == value).sum() - 1) / 2 for value in values])
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])


def entropy_share(values: Array) -> float:
    shares = values[values > 0] / values.sum()
    return math.exp(-sum(share * math.log(share) for share in shares)) / len(values)


def unchanged(values: Array) -> float:
    return sum(value < 0.1 * max(values) for value in values) / len(values)


def centre(values: Array) -> float:
    return float(np.average(np.arange(len(values)), weights=values) / (len(values) - 1))


def top_over_bottom(found: Found) -> float:
    values = changes(found)
    return math.log(values[: found.grid].sum() / values[-found.grid :].sum())


def aic_gap(profile: Array) -> float:
    """The AIC of the best line minus that of the best exponential or power law. All have two parameters."""
    count = len(profile)
    places = np.arange(count)
    line = profile - np.polyval(np.polyfit(places, profile, 1), places)
    best = math.inf
    for decay in np.geomspace(1e-3, 10, 4000):
        for shape in (np.exp(-decay * places / (count - 1)), (places + 1.0) ** -decay):
            best = min(best, ((profile - shape * (shape @ profile) / (shape @ shape)) ** 2).sum())
    return count * math.log((line**2).sum() / best)


def share(found: Found, part: Callable[[int], slice], power: int = 2) -> float:
    weights = changes(found) ** power
    chosen = part(found.patch)
    return float(weights[chosen].sum() / weights.sum()) if len(weights[chosen]) else math.nan


def own(patch: int) -> slice:
    return slice(patch, patch + 1)


def before(patch: int) -> slice:
    return slice(0, patch)


def largest_after(found: Found) -> float:
    return float(max(changes(found)[found.patch + 1 :], default=math.nan))


def mean_profile(cells: Mapping[Cell, Found], block: int) -> Array:
    """The changes of one block over their own mean: the mean over panels of that over the panel's seeds."""
    panels: dict[str, list[Array]] = {}
    for cell, found in cells.items():
        if cell.block == block:
            own = changes(found)
            panels.setdefault(cell.panel, []).append(own / own.mean())
    return np.mean([np.mean(own, axis=0) for own in panels.values()], axis=0)


def each(cells: Mapping[Cell, Found], statistic: Callable[[Found], float]) -> dict[Cell, float]:
    return {cell: statistic(found) for cell, found in cells.items()}


def of_changes(statistic: Callable[[Array], float]) -> Callable[[Found], float]:
    return lambda found: statistic(changes(found))


def by_block(values: Mapping[Cell, float]) -> dict[int, float]:
    """The mean over panels of that over the panel's seeds, block by block; of values that are numbers."""
    seeds: dict[int, dict[str, list[float]]] = {}
    for cell, value in values.items():
        own = seeds.setdefault(cell.block, {}).setdefault(cell.panel, [])
        own += [] if math.isnan(value) else [value]
    means = {block: [float(np.mean(own)) for own in panels.values() if own] for block, panels in seeds.items()}
    return {block: float(np.mean(means[block])) if means[block] else math.nan for block in sorted(means)}


def minus(first: Mapping[Cell, float], second: Mapping[Cell, float]) -> dict[Cell, float]:
    """Where both have the panel, seed and block."""
    return {cell: value - second[cell] for cell, value in first.items() if cell in second}


def over_blocks(values: Mapping[Cell, float], blocks: Iterable[int]) -> dict[Cell, float]:
    """The mean over blocks of each panel and seed, as of block 0."""
    kept = set(blocks) & {cell.block for cell in values}
    pairs = {(cell.panel, cell.seed) for cell in values}
    return {
        Cell(*pair, 0): float(np.mean([values[Cell(*pair, block)] for block in kept]))
        for pair in pairs
        if all(Cell(*pair, block) in values for block in kept)
    }


def widest(build: Build, models: Mapping[str, str], probe: str, fits: Callable[[str], bool], objective: str) -> str:
    """The probe of the widest other main model that fits and has such runs."""
    others = [other for other in models.values() if other != probe and fits(other) and build.names(objective, other)]
    return max(others, key=build.width)


def values_of(
    build: Build,
    claim: str,
    probe: str,
    models: Mapping[str, str],
    similarity: Callable[[Found], float] = similarity,
    other_power: bool = False,
) -> dict[int, float]:
    """The values by block of one entry, another way. `models`: the main probe of each model, by its label.

    `other_power`: of squared changes where the main way does not square them, and the reverse.
    """
    plain, squared = (2, 1) if other_power else (1, 2)
    neurons, patches = {
        "patterns_begin_first": spearman, "much_is_unchanged": unchanged, "unchanged_early": unchanged,
        "deeper_is_broader": lambda values: entropy_share(values**plain),
    }, {
        "patch_reaches_back_only": largest_after,
        "patch_reaches_both_sides": lambda found: share(found, before, squared),
        "patch_looks_back": lambda found: share(found, before, squared),
        "own_share_falls": lambda found: share(found, own, squared),
        "deeper_patch_is_broader": lambda found: entropy_share(changes(found) ** plain),
    }  # fmt: skip
    matches = {
        "one_block_keeps_most": above_grey, "first_rows_are_worst": top_gap,
        "errors_are_of_high_frequency": high_frequency, "deeper_holds_less": similarity,
    }  # fmt: skip
    early = range(1, math.ceil(build.depth(probe) / 4) + 1)
    if claim in neurons:
        return by_block(each(build.cells("neuron", probe), of_changes(neurons[claim])))
    if claim in patches:
        return by_block(each(build.cells("patch", probe), patches[claim]))
    if claim in matches:
        but = "preconditioned_lbfgs" if claim == "errors_are_of_high_frequency" else ""
        return by_block(each(build.cells("match", probe, but=but), matches[claim]))
    if claim == "falls_not_along_a_line":
        cells = build.cells("neuron", probe)
        blocks = sorted({cell.block for cell in cells})
        return {block: aic_gap(mean_profile(cells, block)) for block in blocks}
    if claim == "start_matters_more_plain":
        centres = of_changes(lambda values: centre(values**plain))
        return by_block(minus(*(each(build.cells("neuron", probe, jittered=j), centres) for j in (True, False))))
    if claim == "order_is_the_masks":
        stack = build.config["probes"][probe]
        bare = next(name for name, other in build.config["probes"].items()
                    if {**other, "label": 0} == {**stack, "label": 0, "causal": "never"}
                    or (other.get("causal") == "never" and other["stack"] == stack["stack"]))  # fmt: skip
        return by_block(each(build.cells("neuron", bare), top_over_bottom))
    if claim == "language_is_less_self_attentive":
        vision = widest(build, models, probe, lambda other: build.family(other) == "vit", "patch")
        shares = [
            each(build.cells("patch", name), lambda found: share(found, own, squared)) for name in (probe, vision)
        ]
        return by_block(minus(*(over_blocks(values, {cell.block for cell in values}) for values in shares)))
    if claim == "early_holds_less_than_vision":
        vision = widest(build, models, probe, lambda other: build.family(other) == "vit", "match")
        theirs = range(1, math.ceil(build.depth(vision) / 4) + 1)
        ssim = [each(build.cells("match", name), similarity) for name in (vision, probe)]
        return by_block(minus(over_blocks(ssim[0], theirs), over_blocks(ssim[1], early)))
    if claim == "untrained_deeper_holds_less":
        return by_block(each(build.cells("match", probe, "untrained"), similarity))
    if claim == "trained_holds_less":
        fresh, trained = (
            each(build.cells("match", probe, weights), similarity) for weights in ("untrained", "trained")
        )
        return by_block(minus(fresh, trained))
    assert claim == "early_is_recognisable", claim
    ranks: dict[Cell, float] = {}
    for name in build.names("match", probe):
        for (run, cell), columns in build.rows_of_candidates().items():
            if run == name:
                ranks.setdefault(cell, sum(value >= columns["ssim"][0] for value in columns["ssim"]))
    return by_block(ranks)


# Claims whose number by another measure is recomputed too, and what `values_of` needs for that.
BY_ANOTHER_MEASURE: dict[str, dict[str, Any]] = {
    "deeper_holds_less": {"similarity": explained}, "untrained_deeper_holds_less": {"similarity": explained},
    "trained_holds_less": {"similarity": explained}, "own_share_falls": {"other_power": True},
    "deeper_patch_is_broader": {"other_power": True}, "deeper_is_broader": {"other_power": True},
    "start_matters_more_plain": {"other_power": True}, "language_is_less_self_attentive": {"other_power": True},
}  # fmt: skip


def number_of(values: Mapping[int, float], rule: str, depth: int) -> float:
    """The one number of a rule, from its values by block and its own words."""
    blocks = sorted(values)
    early = [block for block in blocks if block <= math.ceil(depth / 4)]
    if "from the first block to the last" in rule:
        return values[blocks[-1]] - values[blocks[0]]
    if "in the first block" in rule:
        return values[blocks[0]]
    kept = early if "first quarter" in rule else blocks
    return float(np.mean([values[block] for block in kept]))


def near(found: float, expected: float, claim: str) -> bool:
    return abs(found - expected) <= ROUGH.get(claim, TOLERANCE) * max(1.0, abs(expected))


def check_claims(results: Path, config: Mapping[str, Any]) -> int:
    """Asserts that the values and numbers of claims.json are those of the run files. Returns how many were compared.

    results: a study's folder, after `evidence`. config: of that study. The SSIM of candidates are compared for the
    right photographs, the outputs' distances with those of the runs.
    """
    build, entries = Build(results, config), json.loads((results / "claims.json").read_text())
    labels = {probe["label"]: name for name, probe in config["probes"].items()}
    models = {entry["model"]: labels[entry["model"]] for entry in entries}
    compared = 0
    for entry in entries:
        found = {int(block): value for block, value in entry["values"][entry["model"]].items() if value is not None}
        if not found:
            continue
        claim, probe = entry["claim"], models[entry["model"]]
        expected = values_of(build, claim, probe, models)
        assert found.keys() == {block for block, value in expected.items() if not math.isnan(value)}, claim
        for block, value in found.items():
            assert near(value, expected[block], claim), (claim, probe, block, value, expected[block])
        rules = zip(entry["rule"], entry["parts"], strict=True)
        rule, part = next((rule, part) for rule, part in rules if not part["gate"] and part["number"] is not None)
        number = number_of(expected, rule, build.depth(probe)) if part["block"] is None else expected[part["block"]]
        assert near(part["number"], number, claim), (claim, probe, part["number"], number)
        assert entry["number"] == entry["parts"][entry["decided_by"]]["number"], claim
        compared += len(found) + 1
        other = entry["other_numbers"].get("measure", {}) if claim in BY_ANOTHER_MEASURE else {}
        for number in other.values():  # none where there are too few images for an interval
            expected = values_of(build, claim, probe, models, **BY_ANOTHER_MEASURE[claim])
            assert near(number, number_of(expected, rule, build.depth(probe)), claim), (claim, probe, number)
            compared += 1
    return compared + check_candidates(build)


def check_candidates(build: Build) -> int:
    """The right photographs in the tables of candidates."""
    compared = 0
    for name, (arrays, facts) in build.runs.items():
        seeds = facts["seeds"].get("panels") or [facts["seeds"]["run"]] * len(facts["panels"])
        for index, panel in enumerate(facts["panels"]):
            for place, block in enumerate(facts["layers"]):
                columns = build.rows_of_candidates().get((name, Cell(str(panel), seeds[index], block)))
                if columns is not None:
                    one = Found(arrays["images"][place, index], arrays["baseline"][index],
                                arrays["targets"][index], facts["grid"], -1)  # fmt: skip
                    assert len(columns["ssim"]) == 20 and abs(columns["ssim"][0] - similarity(one)) < TOLERANCE
                    found = columns["correlation"][0]
                    assert abs(found * abs(found) - explained(one)) < TOLERANCE
                    distance = arrays["output_distance"][place, index]
                    assert abs(columns["output_distance"][0] / distance - 1) < 0.01
                    compared += 1
    return compared
