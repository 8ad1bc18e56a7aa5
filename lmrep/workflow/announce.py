"""What a build says at its start: study, device, downloads, and roughly how long it will take."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from lmrep.errors import MINIATURE_COMMAND, InputError
from lmrep.inputs.hub import hub_address, hub_url
from lmrep.inputs.network import reach
from lmrep.inputs.weights import is_at_hand
from lmrep.study.config import Study
from lmrep.study.sources import Image, Pin
from lmrep.study.spec import Run
from lmrep.workflow import forecast
from lmrep.workflow.gpus import gpu_names

LONG = 1800  # s: if the runs take longer, the miniature study is suggested


def to_download(pins: Iterable[Pin], images: Iterable[Image]) -> dict[str, str]:
    """The URLs of the hub and of images to download from, each with the name of what it gives."""
    urls = {hub_url(pin): pin.name for pin in pins if not (pin.wheel or is_at_hand(pin))}
    return urls | {image.url: image.name for image in images if image.url}


def downloads(pins: Sequence[Pin], images: Sequence[Image]) -> str:
    """One line on what is downloaded: each model once, with the size of its files as far as it is known."""
    fetched = [pin for pin in pins if not is_at_hand(pin)]
    sizes = {name: sum(pin.bytes for pin in fetched if pin.name == name) for name in (pin.name for pin in fetched)}
    named = [f"{name} ({size / 1e6:.0f} MB)" if size else f"{name} (size unknown)" for name, size in sizes.items()]
    named += [image.name for image in images if image.url]
    hosts = sorted({urlsplit(url).netloc for url in to_download(pins, images)})
    hosts += ["the package index"] if any(pin.wheel for pin in pins) else []
    return f"to download: {', '.join(named)}, from {' and '.join(hosts)}" if named else "nothing to download"


def announcement(
    study: Study,
    runs: Mapping[Path, Run],
    pins: Sequence[Pin],
    images: Sequence[Image],
    cores: int | None,
    here: bool,
    cards: int = 1,
) -> list[str]:
    """The lines that a build starts with, for the runs, weight files and images that it has yet to make.

    `runs`: by their outputs, beside which their states are. `here`: jobs run on this machine and not on a cluster, on
    `cores` in all and up to `cards` GPUs at a time; each of them then corrects the forecast.
    Raises InputError if the study asks for a GPU and this machine has none.
    """
    gpus = gpu_names(study.device)
    cores = cores or study.threads
    if here and study.device == "cuda" and not gpus and runs:
        raise InputError(f"device: cuda was asked for, but there is no GPU here; use auto, or {MINIATURE_COMMAND}")
    if here:
        found = forecast.begin(study.name, forecast.forecast(study, runs, gpus, cores, cards))
        takes = f"will take about {forecast.duration(found.seconds())} here"
        takes += ", by the speed of earlier ones" if found.known else ", a guess that the first run corrects"
        device = f"on the CPU, {cores} core{'s' * (cores != 1)}"
    else:
        forecast.forget(study.name)
        takes = f"would take about {forecast.duration(forecast.one_by_one(study, runs))} one after the other"
        device = "on a cluster"
    if here and gpus:
        several = f"on {found.slots} of {len(gpus)} GPUs, such as {gpus[0]}"
        device = f"on {gpus[0]}" if found.slots == 1 else several
    elif here and study.name != "miniature" and found.seconds() > LONG:
        takes += f"; without a GPU, the miniature study takes minutes: {MINIATURE_COMMAND}"
    to_make = len({run.name for run in runs.values()})
    lines = [f"study {study.name}, {device}: {to_make} of {len(study.runs)} runs to make"]
    lines.append(downloads(pins, images))
    if runs:
        lines.append(f"the runs {takes}")
    return lines


def check_network(pins: Sequence[Pin], images: Sequence[Image]) -> None:
    """Raises InputError at the first host that does not answer, before hours go into a build that lacks a file.

    Wheels are left to pip, which alone knows its index: it may be a folder, a mirror or a proxy. A fetch comes first in
    a build and ends within a minute without a network.
    """
    hub_address()  # transformers reads HF_ENDPOINT too, and fails at its import
    for url, what in to_download(pins, images).items():
        reach(url, what)
