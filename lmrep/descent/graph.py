"""The step of a descent as one CUDA graph: a GPU then does not wait for Python, which launches hundreds of kernels.

Method: "CUDA Graphs" in torch's notes on CUDA. A graph repeats the same kernels on the same memory.
"""

import warnings
from collections import deque
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

from lmrep.descent.faults import is_full
from lmrep.descent.optimisers import Optimiser, Rate, State

Results = tuple[Tensor, Tensor]  # the crop of the next step, and the losses to record
Take = Callable[[Tensor, Rate, int | Tensor], Results]  # of a crop, a rate, and how many steps came before
AHEAD = 2  # steps by which Python may be ahead of the card: enough to keep it busy


def makes_graphs(device: torch.device) -> bool:
    """Whether a device repeats recorded operations."""
    return device.type == "cuda"


@cache
def stream_of(device: torch.device) -> "torch.cuda.Stream":
    """The stream to capture on: one per card, because torch keeps a workspace for each stream.

    It may have one live graph at a time: when torch frees a graph, it frees all cuBLAS workspaces of its stream.
    """
    return torch.cuda.Stream(device)


def mark(device: torch.device) -> "torch.cuda.Event":
    """A mark behind all that the card was asked to do; `synchronize` waits until the card reaches it."""
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event


def memory(tensor: Tensor) -> int:
    """The address of a tensor's storage, which a view shares with its base."""
    return tensor.untyped_storage().data_ptr()


def apart(state: State) -> State:
    """The arrays of a state, each in memory of its own."""
    found: State = {}
    for name, tensor in state.items():
        taken = {memory(other) for other in found.values()}
        found[name] = tensor.clone() if memory(tensor) in taken else tensor
    return found


def kept(tensor: Tensor, old: Container[int]) -> Tensor:
    """A copy of the tensor if it shares storage with one of `old`, else the tensor itself."""
    return tensor.clone() if memory(tensor) in old else tensor


def why(error: BaseException) -> str:
    """Why a capture failed."""
    if is_full(error):
        return "a graph of it does not fit on the card: try a smaller value of memory"
    return f"torch cannot capture it: {error}"


class GraphedStep:
    """Takes steps on crops of one shape on a GPU. The results are those of `take`, bit by bit.

    The first step is taken as it is and makes the libraries ready. The second is captured; it and all later ones replay
    the graph. The arrays of the optimiser's state stay in place from then on, and each step overwrites them. If torch
    cannot capture a step, because some block of a model waits for the GPU, every step is taken as it is.

    A replay waits until all but the last AHEAD are done. Otherwise Python runs far ahead where steps are long, and is
    late with all that it does by a clock.
    """

    def __init__(self, take: Take, optimiser: Optimiser):
        torch.cuda.empty_cache()  # of what an earlier graph held: a first step cannot use it
        self.take, self.optimiser = take, optimiser
        self.ready, self.captures = False, True
        self.graph: torch.cuda.CUDAGraph | None = None
        self.given: tuple[Tensor, ...] = ()
        self.results: Results | None = None
        self.marks: deque[torch.cuda.Event] = deque()

    def __call__(self, crop: Tensor, rate: Rate, step: int) -> Results:
        """As `take`. The tensors that it returns hold the results until the next call."""
        rate = rate if isinstance(rate, Tensor) else torch.full((), rate, device=crop.device)
        given = (crop, rate, torch.full((), step, device=crop.device, dtype=torch.float64))
        if self.ready and self.captures and self.graph is None:
            self.capture(given)
        self.ready = True
        if self.graph is None or self.results is None:
            return self.take(*given)
        for held, new in zip(self.given, given, strict=True):
            held.copy_(new)
        self.graph.replay()
        self.marks.append(mark(crop.device))
        if len(self.marks) > AHEAD:
            self.marks.popleft().synchronize()
        return self.results

    def capture(self, given: tuple[Tensor, Tensor, Tensor]) -> None:
        """Records a step without taking it."""
        crop, rate, step = (tensor.clone() for tensor in given)
        graph, state = torch.cuda.CUDAGraph(), apart(self.optimiser.state)
        stream = torch.cuda.current_stream(crop.device)
        self.optimiser.state.update(state)
        try:
            with torch.cuda.graph(graph, stream=stream_of(crop.device)):
                results = self.take(crop, rate, step)
                new = {name: self.optimiser.state[name] for name in state}
                # A result may share storage with an old array: it is copied before that array is overwritten.
                old = {memory(tensor) for tensor in state.values()}
                crop_after, losses = (kept(tensor, old) for tensor in results)
                moved = {name: kept(tensor, old) for name, tensor in new.items() if tensor is not state[name]}
                for name, tensor in moved.items():
                    state[name].copy_(tensor)
            self.graph, self.given, self.results = graph, (crop, rate, step), (crop_after, losses)
        except RuntimeError as error:
            self.captures = False
            torch.cuda.set_stream(stream)  # torch 2.11 stays on the capture's
            # torch ends the capture with an error of its own. It is not kept: its frames hold the step's memory.
            warnings.warn(f"every step waits for Python, as {why(error.__context__ or error)}", stacklevel=2)
        self.optimiser.state.update(state)

    def release(self) -> None:
        """Gives the graph's memory back."""
        self.graph, self.given, self.results = None, (), None
        self.marks.clear()


@contextmanager
def repeating(
    take: Take, optimiser: Optimiser, device: torch.device
) -> Iterator[Callable[[Tensor, Rate, int], Results]]:
    """`take`, on a GPU as a graph. A traceback that keeps the frame of a descent does not keep the graph's memory."""
    if not makes_graphs(device):
        yield take
        return
    step = GraphedStep(take, optimiser)
    try:
        yield step
    finally:
        step.release()
