"""Config files as text: keys that occur twice, and what is no YAML or no mapping."""

import counts
import pytest
import yaml
from mutants import STUDIES, study_of
from test_broken_configs import here  # noqa: F401

from lmrep.study.reading import read_config

GROUP = "configs, text"
GOOD = yaml.safe_dump(STUDIES["miniature"], sort_keys=False)
TEXTS = {
    "empty": b"",
    "a comment": b"# nothing\n",
    "a list": b"- study: a\n",
    "a text": b"study",
    "not closed": b"study: [a\n",
    "a tab": b"study:\n\tname: a\n",
    "two documents": b"study: a\n---\nstudy: b\n",
    "a NUL": GOOD.encode().replace(b"study: miniature", b"study: mini\0ature"),
    "Latin-1": GOOD.encode().replace(b"study: miniature", b"study: \xe9"),
    "UTF-16": GOOD.encode("utf-16"),
    "binary": bytes(range(256)) * 9,
    "code": b"study: !!python/object/apply:os.system ['touch ran']\n",
    "an unknown tag": b"study: !study a\n",
    "an alias of nothing": b"study: *a\n",
    "a list inside itself": b"study: &a [*a]\n",
    "a mapping inside itself": b"study: &a {b: *a}\n",
    "a thousand lists": b"study: " + b"[" * 1000 + b"]" * 1000,
    "100,000 lists": b"study: " + b"[" * 100_000,
    "a list as key": b"? [a, b]\n: c\n",
    "a mapping as key": b"? {a: b}\n: c\n",
    "NaN as key": GOOD.encode() + b"\n.nan: 1\n",
    "a date as name": GOOD.replace("\nruns:\n", "\nruns:\n  2026-01-01: 1\n").encode(),
    "a whole number of 5,000 digits": GOOD.replace("seed: 0", f"seed: {'9' * 5000}").encode(),
    "a date that is none": GOOD.replace("seed: 0", "seed: 2026-13-45").encode(),
    "sixty seconds": GOOD.replace("seed: 0", "seed: 1:60").encode(),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_a_text_that_is_no_config(tmp_path, case):
    path = tmp_path / "config.yaml"
    path.write_bytes(TEXTS[case])
    wrong = counts.judge(GROUP, case, lambda: study_of(read_config(path)), left=lambda: list(tmp_path.glob("ran")))
    assert not wrong, "\n".join(wrong)


def test_a_key_that_occurs_twice_anywhere(tmp_path):
    """After its first line, and at the end of its mapping, whatever is nested in between."""
    path, lines, wrong = tmp_path / "config.yaml", GOOD.splitlines(), []
    keyed = [place for place, line in enumerate(lines) if not line.lstrip().startswith("- ") and ":" in line]
    for place in keyed[:: 1 if counts.FULL else 4]:
        key, indent = lines[place].split(":")[0].strip(), len(lines[place]) - len(lines[place].lstrip())
        end = next(
            (
                later
                for later in range(place + 1, len(lines))
                if len(lines[later]) - len(lines[later].lstrip()) < indent
            ),
            len(lines),
        )
        path.write_text("\n".join([*lines[:end], f"{' ' * indent}{key}: 1", *lines[end:]]))
        case, says = f"{key} of line {place + 1} twice", (str(path), f"'{key}'", f"line {end + 1}")
        wrong += counts.judge(GROUP, case, lambda: study_of(read_config(path)), says)
    assert not wrong, "\n".join(wrong)
