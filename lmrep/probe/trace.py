"""What one image is turned into on its way through a probe, for the diagram of the probe."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from lmrep.probe.probe import load_probe
from lmrep.study.spec import Run


@torch.no_grad()
def trace(
    run: Run, files: Mapping[str, Path], image: np.ndarray, maximised: Mapping[str, list[int]]
) -> tuple[dict, dict]:
    """Arrays and facts, as `runfile.write_arrays` takes them, of an image [3, size, size] in [0, 1] in a run's probe.

    Arrays: `image`; `kernels` [width, 3, patch, patch] of the stem, if it has its convolution; `tokens` [token,
    width]; `activations` [layer, token, width] at the run's layers. `maximised`: the `neurons` and `patches` that
    the study's runs maximise.
    """
    spec = run.probe
    stack = files[spec.stack.name] if run.weights == "trained" else None
    probe = load_probe(spec, files[spec.stem.name], stack, max(run.layers), torch.device("cpu"), run.seed)
    outputs = probe(torch.from_numpy(image)[None], [0, *run.layers])
    arrays = {
        "image": image,
        "tokens": outputs[0][0].numpy(),
        "activations": torch.cat(outputs[1:]).numpy(),
    }
    if spec.patch_convolution:
        arrays["kernels"] = probe.stem.kernels.numpy()
    facts = {
        "class_token": spec.class_token,
        "layers": list(run.layers),
        "patch": spec.stem.patch,
        "size": spec.stem.size,
        "depth": spec.stack.depth,
        "family": spec.stack.family,
        **maximised,
    }
    return arrays, facts
