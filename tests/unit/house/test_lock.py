"""requirements.lock pins every library with the extras that others ask of it."""

import re
from importlib.metadata import distributions

from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def locked() -> dict[str, set[str]]:
    """The extras of each library in the lock."""
    text = (ROOT / "requirements.lock").read_text()
    found = re.findall(r"^([\w.-]+)(?:\[([^]]*)\])?==", text, flags=re.M)
    return {canonicalize_name(name): {extra.strip() for extra in extras.split(",")} - {""} for name, extras in found}


def test_the_lock_names_every_extra_that_a_locked_library_needs():
    # Without it, pip takes the newest release for the extra, finds no hash, and installs nothing.
    pins, missing = locked(), []
    for distribution in distributions():
        name = canonicalize_name(distribution.metadata["Name"])
        for line in (distribution.requires or []) if name in pins else []:
            needed = Requirement(line)
            applies = needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in ("", *pins[name]))
            if needed.extras and applies:
                lacking = needed.extras - pins.get(canonicalize_name(needed.name), set())
                missing += [f"{name} needs {needed.name}[{extra}]" for extra in sorted(lacking)]
    assert len(pins) > 80
    assert not missing
