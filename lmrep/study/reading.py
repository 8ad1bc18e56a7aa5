"""A config file as plain values. A key that occurs twice is refused: YAML would let the last one win."""

from pathlib import Path
from typing import Any

import yaml

from lmrep.errors import InputError, one_line

DEEPEST = 100  # levels: a loader that calls itself for each would crash at thousands


class Refused(yaml.YAMLError):
    """What YAML allows, and a config does not."""


Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster, where it is built in


class UniqueKeys(Loader):  # type: ignore[valid-type, misc]  # mypy knows no base class in a variable
    """YAML's safe loader, strict about keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise Refused(f"line {key.start_mark.line + 1}: the key '{key.value}' occurs twice, expected it once")
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def check_depth(text: str) -> None:
    """Raises Refused if lists and mappings are nested more than DEEPEST levels deep."""
    depth = 0
    for event in yaml.parse(text, Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 0
            raise Refused(f"line {line}: expected at most {DEEPEST} levels")


def read_config(path: Path) -> Any:
    """The content of a YAML file. Raises InputError if it cannot be read, or if a key occurs twice in one place."""
    try:
        text = path.read_text()
        check_depth(text)
        return yaml.load(text, UniqueKeys)
    except Refused as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a config file ({error})") from None
    except (ValueError, yaml.YAMLError) as error:  # ValueError: an impossible date, a number of 5000 digits
        raise InputError(f"{path}: expected a config in YAML: {one_line(error)}") from None
