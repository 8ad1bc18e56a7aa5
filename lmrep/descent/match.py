"""The photographs of a match: their outputs, which the descent aims at, and the author's yardstick for its results."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from lmrep.descent.objectives import distance
from lmrep.descent.plan import Group
from lmrep.descent.priors import generator, normal
from lmrep.probe.probe import Probe
from lmrep.study.spec import Run

# The author's yardstick of a representation: is the output nearer to the photograph's than that of the
# photograph shifted by normal noise of this standard deviation (pixel values)?
SHIFT = 1 / 18
DISTANCE_ARRAYS = ("output_distance", "shifted_output_distance")


def distances(outputs: Sequence[Tensor], target_outputs: Sequence[Tensor]) -> Tensor:
    """L1 distances [layer, panel] of outputs to the targets', both [panel, token, width] for each layer."""
    return torch.stack([distance(o, t) for o, t in zip(outputs, target_outputs, strict=True)])


def shift_noise(run: Run) -> Tensor:
    """The yardstick's noise [panel, 3, size, size]: the same for all seeds of an image."""
    shape = (3, run.probe.stem.size, run.probe.stem.size)
    return torch.stack([normal(shape, 0.0, SHIFT, generator(run.seed, "shift", name)) for name in run.panel_names])


class Match:
    """The photographs of a run [panel, 3, size, size], and `shifted`: the same with the yardstick's noise."""

    def __init__(self, run: Run, photographs: Tensor):
        self.layers, self.photographs = run.layers, photographs
        self.shifted = photographs + shift_noise(run).to(photographs.device)

        # Neighbouring groups share panels. Three are kept: the photographs in both precisions, and the shifted ones.
        @lru_cache(maxsize=3)
        def at_all_layers(probe: Probe, images: Tensor, first: int, end: int) -> list[Tensor]:
            outputs: list[Tensor] = probe(images[first:end], run.layers)
            return outputs

        self._at_all_layers = at_all_layers

    def outputs(self, probe: Probe, images: Tensor, group: Group) -> list[Tensor]:
        """The outputs [panel, token, width] of `photographs` or `shifted`, for each layer of a group."""
        return self._at_all_layers(probe, images, group.panels.start, group.panels.stop)[group.layers]

    def distances(self, probe: Probe, images: Tensor, group: Group) -> dict[str, Tensor]:
        """DISTANCE_ARRAYS [layer, panel]: of the images that a group has reached, and of the shifted photographs."""
        targets, moved = (self.outputs(probe, pictures, group) for pictures in (self.photographs, self.shifted))
        reached = probe.outputs_of_own_layer(images, self.layers[group.layers])
        found = (distances(outputs, targets) for outputs in (reached, moved))
        return dict(zip(DISTANCE_ARRAYS, found, strict=True))
