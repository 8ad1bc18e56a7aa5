"""What one image becomes on its way through a probe, for the diagram of the probe."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lmrep.probe.probe import Probe
from lmrep.study.facts import trace_facts


@torch.no_grad()
def trace(
    probe: Probe, layers: Sequence[int], image: npt.NDArray[np.float32]
) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, Any]]:
    """Arrays and facts of an image [3, size, size] in [0, 1], as `files.write_arrays` takes them.

    Arrays: `image`; `kernels` [width, 3, patch, patch], if the stem has filters; `tokens` [token, width];
    `activations` [layer, token, width] of the blocks `layers` (from 1).
    Facts: `study.facts.trace_facts`.
    """
    tokens, *outputs = probe(torch.from_numpy(image)[None], [0, *layers])
    arrays = {"image": image, "tokens": tokens[0].numpy(), "activations": torch.cat(outputs).numpy()}
    if probe.stem.kernels is not None:
        arrays["kernels"] = probe.stem.kernels.numpy()
    return arrays, trace_facts(probe.spec, layers)
