"""A study from the content of a config, after all checks of a build that read no other file."""

from collections.abc import Mapping
from typing import Any

from lmrep.study.checks import check_study
from lmrep.study.config import Study, make_study
from lmrep.study.schema import check_schema


def study_of(config: Mapping[str, Any]) -> Study:
    check_schema(config)
    study = make_study(config)
    check_study(study)
    return study
