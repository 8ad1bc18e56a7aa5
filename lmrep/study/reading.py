"""A config file as plain values. A key that occurs twice is refused: YAML would let the last one win."""

from pathlib import Path
from typing import Any

import yaml

from lmrep.errors import InputError


class Twice(yaml.YAMLError):
    """A key occurs twice in one mapping."""


class UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, strict about keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise Twice(f"line {key.start_mark.line + 1}: the key '{key.value}' occurs twice, expected it once")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_config(path: Path) -> Any:
    """The content of a YAML file. Raises InputError if it cannot be read, or if a key occurs twice in one place."""
    try:
        return yaml.load(path.read_text(), UniqueKeys)
    except Twice as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a config file ({error})") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: expected a config in YAML: {' '.join(str(error).split())}") from None
