"""A study from its config file, with its weights and images at hand, for use without Snakemake."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lmrep.errors import InputError
from lmrep.inputs.image_sources import download, obtain
from lmrep.inputs.images import decode_file, load_target, prepare
from lmrep.inputs.network import shown
from lmrep.inputs.paths import LOCK, RESOURCES, file_pins, pin_path, weights_path
from lmrep.inputs.pins import check
from lmrep.inputs.weights import fetch
from lmrep.provenance import file_sha256
from lmrep.study.checks import check_study
from lmrep.study.config import Study, make_study
from lmrep.study.reading import read_config
from lmrep.study.schema import check_schema
from lmrep.study.sources import Weights


@dataclass(frozen=True)
class LoadedStudy(Study):
    """A checked study, and the folder that its paths and downloads are relative to."""

    folder: Path


def load_study(config: str | Path | Mapping[str, Any]) -> LoadedStudy:
    """The study that a config describes, checked as a build checks it.

    `config`: a YAML file such as miniature.yaml, or its content as a dict. Its paths are relative to the file's folder;
    those of a dict are relative to the current folder. Downloads go to `resources/` there, as in a build.
    Raises InputError at the first entry that is not as expected.
    """
    if isinstance(config, Mapping):
        folder, raw = Path().resolve(), config
    else:
        folder, raw = Path(config).resolve().parent, read_config(Path(config))
    check_schema(raw)
    placed = {
        section: {
            name: {**entry, "path": str(folder / entry["path"])} if "path" in entry else entry
            for name, entry in raw[section].items()
        }
        for section in ("weights", "images")
    }
    study = make_study({**raw, **placed})
    check_study(study)
    return LoadedStudy(**vars(study), folder=folder)


def weight_file(study: LoadedStudy, weights: Weights) -> Path:
    """What a loader takes, with every file verified: local files where they lie, fetched ones in the study's resources.

    It is the file, or the folder that holds several. Raises InputError if a file is not available or has another hash
    than expected.
    """
    for pin in file_pins(weights):
        path = study.folder / pin_path(weights, pin)
        if not pin.path:
            fetch(pin, path, study.folder / LOCK)
        elif pin.sha256:
            found = file_sha256(path) if path.is_file() else "not known"
            check(pin, pin.path, "sha256", pin.sha256.lower(), found)
    return study.folder / weights_path(weights)


def load_pixels(study: LoadedStudy, image: str | Path, size: int, fit: str = "resize") -> npt.NDArray[np.float32]:
    """An image of the study, or a picture file, as float32 [3, size, size] in [0, 1].

    `fit`: resize or crop, for a file; an image of the study has its own. What a `url` gives is kept in the study's
    resources, and verified each time. Raises InputError if the picture is not available or not readable.
    """
    entry = study.images.get(str(image))
    if entry is None:
        if not Path(image).is_file():
            raise InputError(f"image: '{image}' is no file and not one of images: {', '.join(study.images)}")
        return load_target(Path(image), size, fit)
    try:
        if entry.url:
            kept = download(entry.url, entry.sha256, study.folder / RESOURCES / "images" / entry.sha256.lower()[:16])
            return prepare(decode_file(kept, entry, shown(entry.url)), size, entry.fit)
        return prepare(obtain(entry), size, entry.fit)
    except InputError as error:
        raise InputError(f"images.{entry.name}: {error}") from None
