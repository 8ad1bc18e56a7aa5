"""The cases of the campaign: what must happen to each, what happens, and the table of counts after a test run.

conftest.py makes this a plugin. No assertion here: PYTEST_DONT_REWRITE.
"""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from lmrep.errors import InputError

FULL = bool(os.environ.get("LMREP_CAMPAIGN"))  # else only what fits into the gate
full_only = pytest.mark.skipif(not FULL, reason="LMREP_CAMPAIGN is not set")
SECONDS = 10  # that a case may take; a hang if it takes longer
LONGEST = 1500  # characters of a line: some list all names that there are

GOOD = ("refused", "accepted")
BAD = ("wrongly accepted", "wrongly refused", "unclear line", "traceback", "hang", "bad file left", "token leaked")
outcomes: dict[tuple[str, str], str] = {}  # (group, case) -> one of these


def short(value: object) -> str:
    """A value as a case is called by it: short, and another for another value."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else f"{value:#x}"
    return text if len(text) < 90 else f"{text[:60]}...{text[-9:]} ({len(text)})"


class Hang(BaseException):
    """A case takes too long. No `except Exception` may catch it."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises Hang in the body after so many seconds."""

    def stop(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def flaw_of(line: str, says: Sequence[str]) -> str:
    """What is wrong with the one line of a refusal; "" if nothing is. It must contain each of `says`."""
    if not line.isprintable() or len(line) > LONGEST:
        return f"not one short line: {line[:LONGEST]!r}"
    missing = [part for part in says if part not in line]
    return f"no {missing} in: {line}" if missing else ""


def judge(
    group: str,
    case: str,
    action: Callable[[], object],
    says: Sequence[str] | None = (),
    seconds: float = SECONDS,
    left: Callable[[], Sequence[object]] = tuple,
    leaked: Callable[[], Sequence[object]] = tuple,
) -> list[str]:
    """Runs a case, counts its outcome, and returns what is wrong, as no or one line.

    `says`: what the line of its InputError contains; None if the case must be accepted. `left`: files that a refusal
    leaves and must not. `leaked`: requests that carry a token to where it must not go.
    """
    wanted = "accepted" if says is None else "refused"
    found, detail = "accepted", ""
    try:
        with limited(seconds):
            action()
    except InputError as error:
        found, detail = "refused", str(error)
    except Hang:
        found, detail = "hang", f"over {seconds:.0f} s"
    except (Exception, SystemExit) as error:
        found, detail = "traceback", f"{type(error).__name__}: {error}"[:LONGEST]
    if found in GOOD and found != wanted:
        found = f"wrongly {found}"
    elif found == "refused" and (flaw := flaw_of(detail, says or ())):
        found, detail = "unclear line", flaw
    if found == "refused" and (files := list(left())):
        found, detail = "bad file left", f"{files}"
    if requests := list(leaked()):
        found, detail = "token leaked", f"{requests}"
    outcomes[group, case] = found
    return [] if found == wanted else [f"{group}: {case}: {found}: {detail}"]


def line_of(process: "subprocess.CompletedProcess[str]") -> None:
    """Raises InputError with the one line by which a process has refused its input; nothing if it ended well."""
    said = f"{process.stdout or ''}{process.stderr or ''}"
    lines = [line.removeprefix("lmrep: ") for line in said.splitlines() if line.startswith("lmrep: ")]
    if "Traceback" in said or process.returncode not in (0, 1):
        raise RuntimeError(f"exit status {process.returncode}, {said[-LONGEST:]}")
    if process.returncode:
        raise InputError("\n".join(lines) if lines else f"\nno line of ours in {said[-LONGEST:]}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several test processes hands its counts to the first."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["campaign"] = [[*case, found] for case, found in outcomes.items()]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    outcomes.update(
        {(group, case): found for group, case, found in getattr(node, "workeroutput", {}).get("campaign", [])}
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not outcomes:
        return
    groups = sorted({group for group, _ in outcomes})
    counts = {name: Counter(found for (group, _), found in outcomes.items() if group == name) for name in groups}
    counts["all"] = Counter(outcomes.values())
    terminalreporter.section("campaign")
    terminalreporter.write_line(f"| group | cases | {' | '.join((*GOOD, *BAD))} |")
    terminalreporter.write_line(f"|---{'|---:' * (len(GOOD) + len(BAD) + 1)}|")
    for name, found in counts.items():
        numbers = [found.total(), *(found[outcome] for outcome in (*GOOD, *BAD))]
        terminalreporter.write_line(f"| {name} | {' | '.join(map(str, numbers))} |")
