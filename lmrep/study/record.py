"""The study that a build has recorded in its results."""

import json
from pathlib import Path

from lmrep.errors import InputError, one_line
from lmrep.study.config import Study, make_study
from lmrep.study.schema import check_schema


def read_recorded(path: Path) -> Study:
    """The study in a `study.json`. Raises InputError, naming the file, if it is not one of this version."""
    try:
        raw = json.loads(path.read_text())
        check_schema(raw)
        return make_study(raw)
    except (OSError, ValueError, InputError) as error:  # ValueError: no text, no JSON
        why = one_line(error)
        raise InputError(f"{path}: expected a study of this version of lmrep; build it again ({why})") from None
