"""The step of a descent as one CUDA graph: a GPU then does not wait for Python, which launches hundreds of kernels.

Method: "CUDA Graphs" in torch's notes on CUDA. A graph repeats the same kernels on the same memory.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from lmrep.descent.optimisers import Optimiser, Rate

# (crop, rate, how many steps came before) to the crop of the next pass and the losses to record
Take = Callable[[Tensor, Rate, int | Tensor], tuple[Tensor, Tensor]]


def makes_graphs(device: torch.device) -> bool:
    """Whether a device repeats recorded operations."""
    return device.type == "cuda"


class GraphedStep:
    """Takes steps on crops of one shape on a GPU. The results are those of `take`, bit by bit.

    The first step is taken as it is and makes the libraries ready. The second is captured; it and all later ones replay
    the graph. The arrays of the optimiser's state stay in place from then on, and each step overwrites them. If torch
    cannot capture a step, because some block of a model waits for the GPU, every step is taken as it is.
    """

    def __init__(self, take: Take, optimiser: Optimiser):
        torch.cuda.empty_cache()  # of what an earlier graph held: a first step cannot use it
        self.take, self.optimiser = take, optimiser
        self.ready, self.captures = False, True
        self.graph: torch.cuda.CUDAGraph | None = None
        self.given: tuple[Tensor, ...] = ()
        self.results: tuple[Tensor, Tensor]

    def __call__(self, crop: Tensor, rate: Rate, step: int) -> tuple[Tensor, Tensor]:
        """As `take`. The tensors that it returns hold the results until the next call."""
        rate = rate if isinstance(rate, Tensor) else torch.full((), rate, device=crop.device)
        given = (crop, rate, torch.full((), step, device=crop.device, dtype=torch.float64))
        if self.ready and self.captures and self.graph is None:
            self.capture(given)
        self.ready = True
        if self.graph is None:
            return self.take(*given)
        for held, new in zip(self.given, given, strict=True):
            held.copy_(new)
        self.graph.replay()
        return self.results

    def capture(self, given: tuple[Tensor, Tensor, Tensor]) -> None:
        """Records a step without taking it."""
        crop, rate, step = (tensor.clone() for tensor in given)
        graph, state = torch.cuda.CUDAGraph(), dict(self.optimiser.state)
        try:
            with torch.cuda.graph(graph):
                self.results = self.take(crop, rate, step)
                for name, tensor in state.items():
                    if self.optimiser.state[name] is not tensor:
                        tensor.copy_(self.optimiser.state[name])
            self.graph, self.given = graph, (crop, rate, step)
        except RuntimeError as error:
            self.captures = False
            warnings.warn(f"every step waits for Python, as torch cannot capture it: {error}", stacklevel=2)
        self.optimiser.state.update(state)
