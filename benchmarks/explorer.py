"""The size of the article study's explorer, with the pictures of a study that was built in place of its own.

    python benchmarks/explorer.py results/miniature

A picture of a run is that of a run with the same question and way, repeated to the size of the article's pictures: it
has as much detail per pixel. Blocks, panels and seeds are the article's. benchmarks/fullsize.md has its result.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml
from common import ROOT

from lmrep.figures.explorer.page import Read, explorer_page
from lmrep.figures.explorer.series import picture_look
from lmrep.files import ArrayFile, read_arrays
from lmrep.study.config import Study, make_study
from lmrep.study.spec import Run


def alike(run: Run) -> tuple[str, bool, bool]:
    """What decides how a picture looks: the objective, L-BFGS or a plain descent, with jitter or without."""
    return run.objective, run.descent.optimiser == "lbfgs", len(run.descent.octaves) > 1


def repeated(pictures: np.ndarray, side: int) -> np.ndarray:
    """Pictures [..., height, width], repeated and cut to [..., side, side]."""
    times = -(-side // pictures.shape[-1])
    return np.tile(pictures, (1,) * (pictures.ndim - 2) + (times, times))[..., :side, :side]


def reads(article: Study, built: Study, results: Path) -> Iterator[Read]:
    """The article's runs of `evidence`, with pictures and losses of the built study's."""
    files = {alike(run): results / f"runs/{name}.safetensors" for name, run in built.runs.items()}
    for name in article.runs_of("evidence"):
        run = article.runs[name]
        file = read_arrays(files[alike(run)])
        lent = file["images"].reshape(-1, *file["images"].shape[2:])
        place = np.arange(len(run.layers) * len(run.panels)) % len(lent)
        side = run.descent.octaves[-1].size
        images = repeated(lent[place], side).reshape(len(run.layers), len(run.panels), 3, side, side)
        arrays = {"images": images, "loss": np.resize(file["loss"], (len(run.layers), run.descent.steps))}
        rows = []
        if run.matches:
            targets = repeated(file["targets"], side)
            arrays["targets"] = targets[np.arange(len(run.panels)) % len(targets)]
            numbers = {"ssim": 0.5, "output_distance_ratio": 0.1, "converged": True}
            panels = list(zip(run.panels, run.start_seeds, strict=True))
            keys = [(panel, seed, layer) for panel, seed in panels for layer in run.layers]
            rows = [{"image": panel, "seed": seed, "layer": layer} | numbers for panel, seed, layer in keys]
        yield run, ArrayFile(arrays, {}), rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="of a study whose evidence was built")
    results = parser.parse_args().results
    article, built = (
        make_study(yaml.safe_load((ROOT / f"{name}.yaml").read_text())) for name in ("config", results.name)
    )
    claims = json.loads((results / "claims.json").read_text())
    page = explorer_page(article, reads(article, built, results), claims)
    runs = [article.runs[name] for name in article.runs_of("evidence")]
    count = sum(len(run.layers) * len(run.panels) for run in runs)
    print(f"{len(runs)} runs, {count} pictures of {picture_look(article)[0]} px: {len(page.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
