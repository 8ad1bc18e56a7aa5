"""A study: the config expanded to runs with every number spelled out, and its figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil

from lmrep.errors import InputError
from lmrep.study.spec import Descent, Image, Octave, Probe, Run, Weights


@dataclass(frozen=True)
class Figure:
    name: str
    kind: str  # "features", "reconstructions", "accuracy", "importance" or "diagram"
    title: str
    runs: tuple[str, ...]
    image: str = ""
    layers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # run -> blocks shown


@dataclass(frozen=True)
class Study:
    name: str
    device: str
    threads: int
    memory: float | str
    jobs_per_run: int | Mapping[str, float]  # or {"minutes": of a job}
    formats: tuple[str, ...]
    gflops: Mapping[str, float]  # what one core or one GPU was measured to do in a run
    weights: Mapping[str, Weights]
    images: Mapping[str, Image]
    probes: Mapping[str, Probe]
    runs: Mapping[str, Run]
    figures: Mapping[str, Figure]

    def seconds(self, run: Run) -> float:
        """An estimate of a run's steps, on the device that the config asks for (auto: a GPU)."""
        speed = self.gflops["cpu"] * self.threads if self.device == "cpu" else self.gflops["cuda"]
        return run.flops / speed / 1e9

    def shards(self, run: Run) -> tuple[Run, ...]:
        """The run, as one for each of its jobs: its layers dealt out so that all cost about the same."""
        jobs = self.jobs_per_run
        if isinstance(jobs, Mapping):
            jobs = ceil(self.seconds(run) / 60 / jobs["minutes"])
        return tuple(replace(run, layers=layers) for layers in deal_layers(run.layers, jobs))


def deal_layers(layers: tuple[int, ...], hands: int) -> tuple[tuple[int, ...], ...]:
    """`hands` sets of layers of about equal sums, for a layer costs the blocks passed; never an empty one."""
    dealt = [[] for _ in range(min(max(hands, 1), len(layers)))]
    for layer in sorted(layers, reverse=True):
        min(dealt, key=sum).append(layer)
    return tuple(tuple(sorted(hand)) for hand in dealt)


def pick(section: str, entries: Mapping, name: str, key: str):
    """The entry called `name`, or an InputError that names the key which asked for it."""
    if name not in entries:
        raise InputError(f"{key}: '{name}' is not one of {section}: {', '.join(entries) or 'none'}")
    return entries[name]


def spread_patches(count: int, patches: int) -> tuple[int, ...]:
    """`count` patches on a square lattice over the image, or evenly along it if `count` is no square."""
    side, lattice = round(patches**0.5), round(count**0.5)
    if lattice**2 != count:
        return tuple(round((i + 0.5) * patches / count - 0.5) for i in range(count))
    places = [round((i + 0.5) * side / lattice - 0.5) for i in range(lattice)]
    return tuple(row * side + column for row in places for column in places)


def make_descent(raw: Mapping) -> Descent:
    ((kind, (first, second)),) = raw["start"].items()
    octaves = tuple(
        Octave(o["size"], o["steps"], tuple(o["rate"]), tuple(o["sigma"]) if o.get("sigma") else None)
        for o in raw["octaves"]
    )
    return Descent((kind, first, second), octaves, raw.get("scale", 1.0), raw.get("constant", 0.0))


def make_panels(raw: Mapping, probe: Probe, key: str) -> tuple:
    objective = raw["objective"]
    wanted = {"neuron": "neurons", "patch": "patches", "match": "images"}[objective]
    others = sorted({"neurons", "patches", "images"} & raw.keys() - {wanted})
    if wanted not in raw or others:
        given = f", not {' or '.join(others)}" if others else ""
        raise InputError(f"{key}: a run whose objective is {objective} takes {wanted}{given}")
    panels = raw[wanted]
    if isinstance(panels, int):
        if objective == "patch" and panels > probe.stem.patches > 0:
            raise InputError(f"{key}.patches: '{probe.stem.name}' has {probe.stem.patches} patches, not {panels}")
        panels = range(panels) if objective == "neuron" else spread_patches(panels, probe.stem.patches)
    return tuple(panels)


def make_run(name: str, raw: Mapping, config: Mapping, probes: Mapping[str, Probe]) -> Run:
    key = f"runs.{name}"
    probe = pick("probes", probes, raw["probe"], f"{key}.probe")
    shared = pick("descents", config["descents"], raw["descent"], f"{key}.descent")
    # A run may set any constant of its descent itself.
    descent = make_descent({**shared, **{k: raw[k] for k in ("start", "octaves", "scale", "constant") if k in raw}})
    layers = range(1, probe.stack.depth + 1) if raw["layers"] == "all" else sorted(set(raw["layers"]))
    return Run(
        name, raw["objective"], probe, raw["weights"], tuple(layers), make_panels(raw, probe, key), descent,
        raw.get("seed", config["seed"]), raw.get("precision", config["precision"]), config["memory"],
    )  # fmt: skip


def make_figure(name: str, raw: Mapping, runs: Mapping[str, Run]) -> Figure:
    for run in raw["runs"]:
        pick("runs", runs, run, f"figures.{name}.runs")
    layers = {run: tuple(blocks) for run, blocks in raw.get("layers", {}).items()}
    for run in layers:
        if run not in raw["runs"]:
            raise InputError(f"figures.{name}.layers: '{run}' is not one of its runs: {', '.join(raw['runs'])}")
    return Figure(name, raw["kind"], raw["title"], tuple(raw["runs"]), raw.get("image", ""), layers)


def whole_numbers(value):
    """The config with 16 for every 16.0, which a schema takes for an integer as well."""
    if isinstance(value, Mapping):
        return {key: whole_numbers(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [whole_numbers(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def make_study(config: Mapping) -> Study:
    """The study that a config (one that the schema has passed) describes.

    Raises InputError where one entry asks for another that is not there; `checks.check_study` does the rest.
    """
    config = whole_numbers(config)
    weights = {name: Weights(name, **raw) for name, raw in config["weights"].items()}
    images = {name: Image(name, **raw) for name, raw in config["images"].items()}
    probes = {}
    for name, raw in config["probes"].items():
        stem = pick("weights", weights, raw["stem"], f"probes.{name}.stem")
        stack = pick("weights", weights, raw["stack"], f"probes.{name}.stack")
        probes[name] = Probe(name, **{**raw, "stem": stem, "stack": stack})
    runs = {name: make_run(name, raw, config, probes) for name, raw in config["runs"].items()}
    return Study(
        config["study"], config["device"], config["threads"], config["memory"], config["jobs_per_run"],
        tuple(config["formats"]), config["gflops"], weights, images, probes, runs,
        {name: make_figure(name, raw, runs) for name, raw in config["figures"].items()},
    )  # fmt: skip


def schema_complaint(error: Exception) -> str:
    """One line for a jsonschema ValidationError: the key, and what was expected there."""
    keys = [str(key) for key in getattr(error, "absolute_path", ())]
    message = getattr(error, "message", str(error)).splitlines()[0]
    if len(message) > 200:  # it quotes the value, which may be a whole section; what was expected comes last
        message = f"{message[:60]} ... {message[-100:]}"
    return f"config: {'.'.join(keys)}: {message}" if keys else f"config: {message}"
