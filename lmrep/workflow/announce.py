"""What a build says at its start: study, device, downloads, and roughly how long it will take."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies

from lmrep.errors import MINIATURE_COMMAND, OFFLINE_HINT, InputError
from lmrep.inputs.hub import hub_url
from lmrep.inputs.weights import is_at_hand
from lmrep.study.config import Study
from lmrep.study.cost import run_seconds
from lmrep.study.spec import Image, Pin, Run

SECONDS_TO_START = 3  # of a run: imports and weights, before its first step
SECONDS_FOR_DRIVER = 10  # to list the GPUs
SECONDS_FOR_HOST = 10  # to answer a connection


@cache
def gpu_names() -> list[str]:
    """The names of the GPUs that a job may use. Asks nvidia-smi: importing torch would delay every command."""
    tool = shutil.which("nvidia-smi")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not tool or visible == "":
        return []
    try:
        listing = subprocess.run([tool, "-L"], capture_output=True, text=True, check=True, timeout=SECONDS_FOR_DRIVER)
    except (subprocess.SubprocessError, OSError):  # a driver that does not work, or hangs
        return []
    cards = [line for line in listing.stdout.splitlines() if line.startswith("GPU ")]  # GPU 0: name (UUID: GPU-...)
    if visible is not None:  # numbers, or the beginnings of UUIDs
        wanted = [entry.strip() for entry in visible.split(",") if entry.strip()]
        cards = [card for card in cards if any(f"GPU {w}:" in card or f": {w}" in card for w in wanted)]
    return [card.split(":", 1)[1].split("(UUID")[0].strip() for card in cards]


def duration(seconds: float) -> str:
    """A duration in words, as rough as the estimate."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 1):.0f} seconds"


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
    runs: Sequence[Run],
    pins: Sequence[Pin],
    images: Sequence[Image],
    cores: int | None,
    here: bool,
    cards: int = 1,
) -> list[str]:
    """The lines that a build starts with, for the runs, weight files and images that it has yet to make.

    `here`: jobs run on this machine, on `cores` in all and on up to `cards` GPUs at a time, and not on a cluster.
    Raises InputError if the study asks for a GPU and this machine has none.
    """
    gpus = [] if study.device == "cpu" else gpu_names()
    cores = cores or study.threads
    if here and study.device == "cuda" and not gpus and runs:
        raise InputError(f"device: cuda was asked for, but there is no GPU here; expected auto, or {MINIATURE_COMMAND}")
    at_once = max(1, min(len(runs), min(cards, len(gpus)) if gpus else cores // study.threads))
    speed = at_once * (study.gflops["cuda"] if gpus else study.gflops["cpu"] * study.threads)
    seconds = sum(run_seconds(run, speed) for run in runs) + SECONDS_TO_START * len(runs) / at_once
    device, takes = f"on the CPU, {cores} cores", f"will take about {duration(seconds)} here"
    if gpus:
        device = f"on {gpus[0]}" if at_once == 1 else f"on {at_once} of {len(gpus)} GPUs, such as {gpus[0]}"
    elif study.name != "miniature":
        takes += f"; without a GPU, the miniature study takes minutes: {MINIATURE_COMMAND}"
    if not here:
        seconds = sum(run_seconds(run, study.speed) for run in runs) + SECONDS_TO_START * len(runs)
        device, takes = "on a cluster", f"would take about {duration(seconds)} one after the other"
    to_make = len({run.name for run in runs})
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
    for url, what in to_download(pins, images).items():
        parts = urlsplit(url)
        try:
            port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        except ValueError:  # a port that is no number
            port = None
        if not (port and parts.hostname):
            raise InputError(f"{url}: expected an https:// address of a host (see HF_ENDPOINT)")
        if parts.scheme in getproxies():
            continue  # the proxy reaches the host, and this machine may not
        try:
            socket.create_connection((parts.hostname, port), timeout=SECONDS_FOR_HOST).close()
        except OSError as error:
            raise InputError(f"cannot reach {parts.netloc} for {what} ({error}); {OFFLINE_HINT}") from None
