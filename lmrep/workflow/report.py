"""The page that Snakemake makes of a finished study."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from lmrep.files import replacing


def write_report(command: Sequence[str], targets: Sequence[str], path: Path, log: TextIO) -> None:
    """Writes the page of `targets` to `path`, and what Snakemake says to `log`.

    `command`: of a Snakemake that makes a report; the page's path and the targets follow.
    Raises RuntimeError if Snakemake makes none.
    """
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        done = subprocess.run([*command, str(page), *targets], stdout=log, stderr=subprocess.STDOUT, check=False)
        if done.returncode or not page.is_file():
            raise RuntimeError(f"Snakemake made no report (exit status {done.returncode}): see {log.name}")
        with replacing(path) as part:
            shutil.copyfile(page, part)
