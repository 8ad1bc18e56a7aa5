"""Valid configs: neighbours of the shipped ones, and whole studies at random, of every kind in `kinds`."""

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from mutants import DELETED, Keys

from lmrep.inputs.shipped import SHIPPED
from lmrep.study import kinds

FREE = {  # keys that depend on no other, and values at the ends of what they may be
    ("seed",): (0, 1, 2**63 - 1, 7.0),
    ("device",): ("auto", "cpu", "cuda"),
    ("threads",): (1, 2, 64),
    ("precision",): ("auto", "float32", "bfloat16"),
    ("memory",): ("auto", 1, 0.5, 80_000),
    ("checkpoint",): (1, 0.5, 3600),
    ("jobs_per_run",): (1, 9, {"minutes": 0.5}, {"minutes": 600}),
    ("formats",): (["png"], ["svg", "pdf"], ["png", "pdf", "svg"]),
    ("gflops",): ({"cpu": 1, "cuda": 1}, {"cpu": 0.1, "cuda": 1e7}),
    ("study",): ("a", "A_1", "0"),
    ("weights", "*", "label"): ("a", "Gr\u00f6\u00dfe \u4e2d", "a" * 60),
    ("probes", "*", "label"): ("a", "ViT-B/16, \u00bd", "a: b"),
    ("figures", "*", "title"): ("", "a", "What's in \u201cit\u201d? 5 % & more"),
    ("figures", "*", "target"): ("figures", "evidence", DELETED),
    ("images", "*", "fit"): ("resize", "crop", DELETED),
    ("runs", "*", "precision"): ("auto", "float32", "bfloat16", DELETED),
    ("runs", "*", "weights"): ("trained", "untrained"),
    ("runs", "*", "start"): ({"uniform": [0, 0]}, {"uniform": [-1, 2]}, {"normal": [0.5, 0]}, {"normal": [0, 1]}),
}


def images() -> Iterator[dict[str, Any]]:
    """Images from every kind of source."""
    yield from ({"skimage": name} for name in SHIPPED)
    pin = {"url": "https://example.org/a%20b.zip?x=1", "sha256": "0" * 64}
    member = {**pin, "member": "some folder/\u00e9.png", "member_sha256": "f" * 64}
    yield from (pin, member, {**pin, "url": "http://localhost:8000/a.png"})
    yield from ({"drawing": "tesla_coil", "fit": "resize"}, {"path": "resources/miniature/README.md"})


def near(config: dict[str, Any]) -> Iterator[tuple[Keys, Any]]:
    """Changes that leave a valid study: (keys, value)."""
    for (first, *rest), values in FREE.items():
        for value in values:
            name = next(iter(config[first])) if rest else None
            keys = (first, name, rest[1]) if rest else (first,)
            if value is not DELETED or rest[1] in config[first][name]:
                yield keys, value
    some = next(iter(config["images"]))
    yield from ((("images", some), image) for image in images())
    for name, run in config["runs"].items():
        stack = config["weights"][config["probes"][run["probe"]]["stack"]]
        shown = any(name in figure.get("layers", {}) for figure in config["figures"].values())
        layers = ["all"] if shown else ["all", [1], [stack["depth"]], list(range(1, stack["depth"] + 1))]
        yield from ((("runs", name, "layers"), value) for value in layers)
        if run["objective"] == "neuron":
            counts = (1, stack["width"], [0], [stack["width"] - 1], [3, 1, 2], 2.0)
            yield from ((("runs", name, "neurons"), value) for value in counts)
        if run["objective"] == "patch":
            yield from ((("runs", name, "patches"), value) for value in (1, 4, 5, [0], [3, 1]))
        if "seeds" not in run:
            yield ("runs", name, "seed"), 2**63 - 1


@st.composite
def studies(draw: st.DrawFn) -> dict[str, Any]:
    """A study with one run, of any kinds that go together."""
    patch, grid, heads = draw(st.integers(4, 16)), draw(st.integers(3, 16)), draw(st.integers(1, 16))
    pairs = [(goal, way) for goal, kind in kinds.OBJECTIVES.items() for way, entry in kinds.OPTIMISERS.items()
             if kind.matches or not entry.bounded]  # fmt: skip
    objective, optimiser = draw(st.sampled_from(pairs))
    width, size, depth = heads * draw(st.integers(1, 64)), patch * grid, draw(st.integers(1, 48))
    shape = {"patch": patch, "size": size}
    own = {"heads": heads, "causal": draw(st.booleans()), **shape}
    family = draw(st.sampled_from(sorted(kinds.FAMILIES)))
    hub, wheel = {"repo": "a-b/c.d", "revision": "step1"}, {"wheel": "a-b==1.0", "file": "c/model.safetensors"}
    source = draw(st.sampled_from([hub, wheel]))
    entry = {"label": "a", "width": width, "depth": depth, **source}
    causal = own["causal"] if kinds.FAMILIES[family].causal is None else kinds.FAMILIES[family].causal
    stack = {**entry, "family": family, **{key: own[key] for key in kinds.FAMILIES[family].keys}}
    probe: dict[str, Any] = {"label": "p", "stack": "stack"}
    weights = {"stack": stack}
    stem = draw(st.sampled_from(sorted(kinds.STEMS)))
    if stem == "vit":
        weights["stem"] = {**entry, "family": "vit", "heads": heads, **shape}
        probe |= {"stem": "stem", "position_embedding": draw(st.booleans())}
        probe |= {"patch_convolution": False} if width == 3 * patch**2 else {}
    else:
        bases = [name for name, basis in kinds.BASES.items() if basis.ordered or width >= 3 * patch**2]
        probe |= {"stem": {"basis": draw(st.sampled_from(bases)), **shape}}
    tokens = [token for token in kinds.STEMS[stem].first_tokens if token != "bos"]
    if kinds.FAMILIES[family].embeds:
        stack["bos"] = draw(st.integers(0, 50_000))
        probe |= {"scale": draw(st.sampled_from(["as_is", "embeddings", 1, 0.5, 10]))}
        probe |= {"stack_position": draw(st.booleans())}
        tokens = [*tokens, "bos"]
    probe |= {"first_token": draw(st.sampled_from(tokens)), "centre": draw(st.booleans())}
    probe |= {"causal": "never"} if causal and draw(st.booleans()) else {}
    run, descent = draw(runs(objective, optimiser, size, depth, width, grid))
    kind = draw(st.sampled_from(sorted(alone(objective))))
    which = "all" if kinds.FIGURES[kind].runs == "all" else ["run"]
    figure = {"kind": kind, "title": "t", "runs": which} | ({"image": "i0"} if kinds.FIGURES[kind].needs else {})
    if kinds.FIGURES[kind].runs == "one":
        run.pop("seeds", None)
    return {
        "study": "made", "seed": draw(st.integers(0, 2**63 - 1)), "device": "auto",
        "threads": draw(st.integers(1, 16)), "precision": "auto", "checkpoint": 30, "formats": ["svg"],
        "memory": draw(st.sampled_from(["auto", 64, 2000.5])), "gflops": {"cpu": 1, "cuda": 9},
        "jobs_per_run": draw(st.sampled_from([1, 3, {"minutes": 10}])), "weights": weights,
        "images": {name: {"skimage": "cat"} for name in run.get("images", [])}, "probes": {"probe": probe},
        "descents": {"descent": descent}, "runs": {"run": run}, "figures": {"figure": figure},
    }  # fmt: skip


def alone(objective: str) -> list[str]:
    """The kinds of figures that can be drawn from one run with this objective."""
    return [
        name
        for name, kind in kinds.FIGURES.items()
        if kind.runs not in ("mixed", "several") and objective in (kind.objectives or kinds.OBJECTIVES)
        if "image" not in kind.keys or objective == "match"
    ]


@st.composite
def runs(
    draw: st.DrawFn, objective: str, optimiser: str, size: int, depth: int, width: int, grid: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run and its descent."""
    kind, entry = kinds.OBJECTIVES[objective], kinds.OPTIMISERS[optimiser]
    values = {"scale": 2, "rate": {"first_step": 0.01}, "history": 7, "constant": -100, "distance": "l1"}
    takes = [key for key in values if key in entry.keys or key in kind.takes]
    used = draw(st.lists(st.sampled_from(takes), unique=True)) if takes else []
    ends = {"rate": [1, 0.1], "sigma": [2.4, 0.4]}
    ends = {key: value for key, value in ends.items() if key in entry.octave_keys}
    larger = [size, *draw(st.lists(st.integers(size, 3 * size), max_size=2))]
    sizes = larger if entry.jitters and not kind.matches else [size]
    octaves = [{"size": side, "steps": draw(st.integers(1, 5000)), **ends} for side in sizes]
    start = draw(st.sampled_from([{"uniform": [0.4, 0.6]}, {"normal": [0.5, 0.1]}]))
    descent = {"start": start, "optimiser": optimiser, "octaves": octaves, **{key: values[key] for key in used}}
    lowest, most = int(not kind.matches), {"neurons": width, "patches": grid**2}
    chosen = st.lists(st.integers(lowest, depth), min_size=1, max_size=4, unique=True)
    run = {"objective": objective, "probe": "probe", "descent": "descent", "layers": draw(st.just("all") | chosen)}
    run |= {"weights": draw(st.sampled_from(["trained", "untrained"]))}
    if kind.matches:
        run["images"] = ["i0", "i1"][: draw(st.integers(1, 2))]
    else:
        top = most[kind.panels]
        listed = st.lists(st.integers(0, top - 1), min_size=1, max_size=5, unique=True)
        run[kind.panels] = draw(st.integers(1, min(top, 9)) | listed)
    if draw(st.booleans()):
        run["seeds"] = [1, 2]
    return run, descent
