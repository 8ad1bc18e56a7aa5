"""What the layers of a language model hold of an image: the article's experiments, rebuilt.

The names in `__all__` are for notebooks and scripts; docs/python.md shows them at work. Each is imported at its first
use, so `import lmrep` itself loads neither torch nor any other library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmrep.api import LoadedProbe as LoadedProbe
    from lmrep.api import load_image as load_image
    from lmrep.api import load_probe as load_probe
    from lmrep.api import maximise as maximise
    from lmrep.api import recreate as recreate
    from lmrep.api import save_run as save_run
    from lmrep.errors import InputError as InputError
    from lmrep.files import read_arrays as open_run
    from lmrep.inputs.workspace import LoadedStudy as LoadedStudy
    from lmrep.inputs.workspace import load_study as load_study
    from lmrep.metrics.measures import ssim as ssim
    from lmrep.study.spec import Descent as Descent
    from lmrep.study.spec import Octave as Octave

_PLACES = {  # in the order of their use
    "load_study": "lmrep.inputs.workspace",
    "load_probe": "lmrep.api",
    "load_image": "lmrep.api",
    "maximise": "lmrep.api",
    "recreate": "lmrep.api",
    "ssim": "lmrep.metrics.measures",
    "save_run": "lmrep.api",
    "open_run": "lmrep.files:read_arrays",
    "Descent": "lmrep.study.spec",
    "Octave": "lmrep.study.spec",
    "LoadedStudy": "lmrep.inputs.workspace",
    "LoadedProbe": "lmrep.api",
    "InputError": "lmrep.errors",
}
# Spelled out, since type checkers read it.
__all__ = [  # noqa: RUF022
    "load_study", "load_probe", "load_image", "maximise", "recreate", "ssim", "save_run", "open_run",
    "Descent", "Octave", "LoadedStudy", "LoadedProbe", "InputError",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'lmrep' has no attribute '{name}'")
    module, _, other = _PLACES[name].partition(":")
    found = globals()[name] = getattr(import_module(module), other or name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
