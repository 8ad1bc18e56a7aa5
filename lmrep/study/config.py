"""The config as a study: runs with every number spelled out, and figures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lmrep.errors import InputError
from lmrep.study import cost, kinds
from lmrep.study.sources import Image, Weights
from lmrep.study.spec import Descent, Octave, Probe, Run, Stem

FIGURE_KEYS = ("kind", "title", "runs", "target")  # of every kind of figure
DESCENT_VALUES = ("scale", "constant", "optimiser", "distance", "history")  # that a Descent takes as they are
DESCENT_KEYS = ("start", "octaves", "rate", *DESCENT_VALUES)  # also of a run
REGIME = ("first_token", "causal", "centre", "scale", "stack_position")  # of any probe, whatever its stem
OWN_KEYS = {  # of weights: each family takes some of them
    "heads": "the attention heads of a block",
    "causal": "whether a token sees only itself and earlier ones",
    "patch": "px, of its stem",
    "size": "px, of its stem's images",
}
MOST_IMAGES = 10**6  # of all runs, layers x panels: a week of an H100 at GPT-2's size
MOST_NAMED = 20  # in a message
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Figure:
    name: str
    kind: str  # a key of kinds.FIGURES
    title: str
    runs: tuple[str, ...]
    image: str = ""
    layers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # run -> blocks shown
    target: str = "figures"  # what it is built with: "figures" or "evidence"
    panels: int = 0  # how many of the first panels of each run are shown; 0: all


@dataclass(frozen=True)
class Study:
    name: str
    device: str
    threads: int
    checkpoint: float  # s between two writes of a run's state
    jobs_per_run: int | Mapping[str, float]  # or {"minutes": of a job}
    formats: tuple[str, ...]
    gflops: Mapping[str, float | Mapping[str, float]]  # what a core ("cpu") or GPU ("cuda") does, by precision or any
    weights: Mapping[str, Weights]
    images: Mapping[str, Image]
    probes: Mapping[str, Probe]
    runs: Mapping[str, Run]
    figures: Mapping[str, Figure]

    def runs_of(self, target: str) -> tuple[str, ...]:
        """Names of the runs behind a target: for evidence all, for figures all but those that only evidence uses."""
        shown = {run for figure in self.figures.values() if figure.target == "figures" for run in figure.runs}
        spare = {run for figure in self.figures.values() if figure.target == "evidence" for run in figure.runs} - shown
        return tuple(name for name in self.runs if target == "evidence" or name not in spare)

    @property
    def speed(self) -> cost.Speed:
        """The speed of one run on the device that the config asks for (auto: a GPU)."""
        return cost.speed_asked(self.gflops, self.device, self.threads)


def listed(names: Iterable[object]) -> str:
    """Names in a message: the first ones, and how many more there are."""
    found = [str(name) for name in names]
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return f"{', '.join(found[:MOST_NAMED])}{more}" or "none"


def pick(section: str, entries: Mapping[str, Entry], name: str, key: str) -> Entry:
    """The entry called `name`. Raises InputError, naming the `key` that asked for it, if there is none."""
    if name not in entries:
        raise InputError(f"{key}: '{name}' is not one of {section}: {listed(entries)}")
    return entries[name]


def refuse_unused(key: str, given: Iterable[str], used: Iterable[str], who: str) -> None:
    """Raises InputError at the first key that a kind does not use, by name."""
    for name in sorted(set(given) - set(used)):
        raise InputError(f"{key}.{name}: {who} does not use it; expected {', '.join(used) or 'no further keys'}")


def spread_patches(count: int, patches: int) -> tuple[int, ...]:
    """`count` patches on a square lattice over the image, or evenly spaced in row order if `count` is no square."""
    side, lattice = round(patches**0.5), round(count**0.5)
    if lattice**2 != count:
        return tuple(round((i + 0.5) * patches / count - 0.5) for i in range(count))
    places = [round((i + 0.5) * side / lattice - 0.5) for i in range(lattice)]
    return tuple(row * side + column for row in places for column in places)


def make_weights(name: str, raw: Mapping[str, Any]) -> Weights:
    """An entry under `weights`. Raises InputError, naming its key, if its family lacks a key or takes no such key."""
    family = kinds.FAMILIES[raw["family"]]
    for key, meaning in OWN_KEYS.items():
        if (key in raw) != (key in family.keys):
            verb = "takes" if key in family.keys else "does not take"
            raise InputError(f"weights.{name}.{key}: the family {raw['family']} {verb} it ({meaning})")
    if "bos" in raw and not family.embeds:
        raise InputError(f"weights.{name}.bos: a {raw['family']} has no token embeddings, expected no bos")
    files = raw.get("file", "")
    return Weights(name, **{**raw, "file": tuple(files) if isinstance(files, list) else files})


def make_stem(key: str, raw: Mapping[str, Any], weights: Mapping[str, Weights], stack: Weights) -> Stem:
    """The stem of a probe: that of a weight file, by its name, or a basis of the stack's width, by its settings."""
    wanted, source = raw["stem"], None
    if isinstance(wanted, Mapping):
        kind, shape, basis = "basis", (wanted["size"], wanted["patch"], stack.width), {"basis": wanted["basis"]}
    else:
        source = pick("weights", weights, wanted, f"{key}.stem")
        kind, shape, basis = kinds.FAMILIES[source.family].stem, (source.size, source.patch, source.width), {}
        if not kind:
            having = " or ".join(name for name, family in kinds.FAMILIES.items() if family.stem)
            raise InputError(f"{key}.stem: expected the weights of a {having}, but '{wanted}' is a {source.family}")
    entry = kinds.STEMS[kind]
    own = {option: value for option, value in raw.items() if option not in ("label", "stem", "stack", *REGIME)}
    refuse_unused(key, own, (*entry.options, *REGIME), f"a {kind} stem")
    first = raw.get("first_token", entry.first_tokens[0])
    bos = stack.bos if first == "bos" else -1
    return Stem(kind, *shape, source, {**entry.options, **own, **basis}, first, bos)


def make_probe(name: str, raw: Mapping[str, Any], weights: Mapping[str, Weights]) -> Probe:
    key = f"probes.{name}"
    stack = pick("weights", weights, raw["stack"], f"{key}.stack")
    stem = make_stem(key, raw, weights, stack)
    regime = {option: raw[option] for option in REGIME if option in raw and option != "first_token"}
    if regime.get("scale") == 1:
        regime["scale"] = "embeddings"  # the same, under one name
    return Probe(name, raw["label"], stem, stack, **regime)


def make_descent(name: str, raw: Mapping[str, Any], config: Mapping[str, Any]) -> Descent:
    """The descent of run `name`, in which its own keys replace those of the one that it names."""
    key, shared = f"runs.{name}", pick("descents", config["descents"], raw["descent"], f"runs.{name}.descent")
    own = {option: raw[option] for option in DESCENT_KEYS if option in raw}
    merged = {**shared, **own}
    optimiser = kinds.OPTIMISERS[merged.get("optimiser", kinds.ARTICLE)]
    taken = [option for option in ("constant", "distance") if option in kinds.OBJECTIVES[raw["objective"]].takes]
    used, who = ("start", "octaves", "optimiser", *optimiser.keys, *taken), f"the {raw['objective']} run '{name}'"
    refuse_unused(key, own, used, who)
    refuse_unused(f"descents.{raw['descent']}", shared, used, who)
    ((kind, (first, second)),) = merged["start"].items()
    octaves = []
    for octave in merged["octaves"]:
        refuse_unused(f"{key}.octaves", octave, ("size", "steps", *optimiser.octave_keys), who)
        if "rate" in optimiser.octave_keys and "rate" not in octave:
            if "rate" not in merged:
                raise InputError(f"{key}.octaves.rate: {who} needs it, expected those of the first and the last step")
            octave = {**octave, "rate": (1, 1)}
        ends = {option: tuple(octave[option]) for option in ("rate", "sigma") if option in octave}
        octaves.append(Octave(octave["size"], octave["steps"], **ends))
    others = {option: merged[option] for option in DESCENT_VALUES if option in merged}
    others |= {"first_step": merged["rate"]["first_step"]} if "rate" in merged else {}
    return Descent((kind, first, second), tuple(octaves), **others)


def make_panels(raw: Mapping[str, Any], probe: Probe, key: str) -> tuple[Any, ...]:
    """A run's neurons, patches (from 0) or image names. Raises InputError, naming `key`, if they do not suit it."""
    objective = raw["objective"]
    wanted = kinds.OBJECTIVES[objective].panels
    others = sorted(kinds.PANELS.keys() & raw.keys() - {wanted})
    if wanted not in raw or others:
        given = f", not {' or '.join(others)}" if others else ""
        raise InputError(f"{key}: a run whose objective is {objective} takes {wanted}{given}")
    panels = raw[wanted]
    if not isinstance(panels, int):
        return tuple(panels)
    if wanted == "neurons":
        return tuple(range(panels))
    if panels > probe.stem.patches:
        raise InputError(f"{key}.patches: '{probe.stem.name}' has {probe.stem.patches} patches, not {panels}")
    return spread_patches(panels, probe.stem.patches)


def make_run(
    name: str, raw: Mapping[str, Any], config: Mapping[str, Any], probes: Mapping[str, Probe], room: int = MOST_IMAGES
) -> Run:
    """`room`: how many images the study has left."""
    key = f"runs.{name}"
    probe = pick("probes", probes, raw["probe"], f"{key}.probe")
    if "seed" in raw and "seeds" in raw:
        raise InputError(f"{key}.seeds: expected a seed or seeds, one of the two")
    seeds = tuple(raw.get("seeds", [raw.get("seed", config["seed"])]))
    panels = make_panels(raw, probe, key)
    layers = range(1, probe.stack.depth + 1) if raw["layers"] == "all" else sorted(set(raw["layers"]))
    images = len(layers) * len(panels) * len(seeds)
    if images > room:
        most = f"at most {MOST_IMAGES} images in all runs of a study"
        raise InputError(f"{key}: expected {most} (layers x panels x seeds), but it alone adds {images}")
    return Run(
        name, raw["objective"], probe, raw["weights"], tuple(layers), tuple(p for p in panels for _ in seeds),
        make_descent(name, raw, config), seeds[0], raw.get("precision", config["precision"]), config["memory"],
        seeds * len(panels) if len(seeds) > 1 else (),
    )  # fmt: skip


def make_figure(name: str, raw: Mapping[str, Any], runs: Mapping[str, Run]) -> Figure:
    """An entry under `figures`. Raises InputError, naming its key, for keys or runs that do not suit its kind."""
    key, kind = f"figures.{name}", kinds.FIGURES[raw["kind"]]
    refuse_unused(key, raw.keys() - set(FIGURE_KEYS), kind.keys, f"a figure of the kind {raw['kind']}")
    for needed in kind.needs:
        if needed not in raw:
            raise InputError(f"{key}.{needed}: expected, since a figure of the kind {raw['kind']} needs it")
    if (raw["runs"] == "all") != (kind.runs == "all"):
        wanted = "all" if kind.runs == "all" else "a list of runs"
        raise InputError(f"{key}.runs: expected {wanted}, as for every figure of the kind {raw['kind']}")
    shown = tuple(runs if raw["runs"] == "all" else raw["runs"])
    for run in shown:
        pick("runs", runs, run, f"{key}.runs")
    layers = {run: tuple(blocks) for run, blocks in raw.get("layers", {}).items()}
    for run in sorted(layers.keys() - {*shown}):
        raise InputError(f"{key}.layers: '{run}' is not one of its runs: {listed(shown)}")
    image, target = raw.get("image", ""), raw.get("target", "figures")
    return Figure(name, raw["kind"], raw["title"], shown, image, layers, target, raw.get("panels", 0))


def whole_numbers(value: Any) -> Any:
    """The config with 16 in place of 16.0, which a schema takes for an integer too."""
    if isinstance(value, Mapping):
        return {key: whole_numbers(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [whole_numbers(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def make_study(config: Mapping[str, Any]) -> Study:
    """The study of a config that `schema.check_schema` passed; `checks.check_study` comes next. Raises InputError."""
    config = whole_numbers(config)
    weights = {name: make_weights(name, raw) for name, raw in config["weights"].items()}
    probes = {name: make_probe(name, raw, weights) for name, raw in config["probes"].items()}
    runs: dict[str, Run] = {}
    room = MOST_IMAGES
    for name, raw in config["runs"].items():
        runs[name] = make_run(name, raw, config, probes, room)
        room -= len(runs[name].layers) * len(runs[name].panels)
    used = {raw["descent"] for raw in config["runs"].values()}
    for name in config["descents"]:
        if name not in used:
            raise InputError(f"descents.{name}: no run uses it; expected a run with descent: {name}")
    return Study(
        config["study"], config["device"], config["threads"], config["checkpoint"], config["jobs_per_run"],
        tuple(config["formats"]), config["gflops"], weights,
        {name: Image(name, **raw) for name, raw in config["images"].items()}, probes, runs,
        {name: make_figure(name, raw, runs) for name, raw in config["figures"].items()},
    )  # fmt: skip
