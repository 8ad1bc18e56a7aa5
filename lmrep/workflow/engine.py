"""The one adapter for what Snakemake knows but does not document: parts of its `workflow` object.

A contract test runs a real Snakefile through each of them.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.jobs import Job  # type: ignore[import-untyped]


@dataclass(frozen=True)
class PlannedJob:
    """A job that a build will run."""

    rule: str
    wildcards: Any  # attributes and get(), as in an input function
    outputs: tuple[str, ...]


class Engine:
    """What the rules ask Snakemake's global `workflow` object."""

    def __init__(self, workflow: Any):
        self.workflow = workflow

    @property
    def configfiles(self) -> tuple[Path, ...]:
        """The configs that the command line names. They replace the default one and are not merged into it."""
        return tuple(map(Path, self.workflow.overwrite_configfiles))

    def again(self, *options: str) -> list[str]:
        """The command that reads this Snakefile with the same configs again, with other options at its end."""
        settings = self.workflow.config_settings
        files = [str(Path(path).absolute()) for path in settings.configfiles]
        changes = [f"{key}={json.dumps(value)}" for key, value in settings.config.items()]
        return [
            sys.executable, "-m", "snakemake", "--snakefile", str(Path(self.workflow.basedir, "Snakefile")),
            *(["--configfile", *files] if files else []), *(["--config", *changes] if changes else []), *options,
        ]  # fmt: skip

    @property
    def runs_here(self) -> bool:
        """Whether jobs run on this machine, and not on a cluster's."""
        return bool(self.workflow.local_exec)

    @property
    def cores(self) -> int | None:
        """What --cores gives; None on a cluster."""
        cores: int | None = self.workflow.resource_settings.cores
        return cores

    @property
    def gpus(self) -> int | None:
        """What --resources gpu=N gives; None without it."""
        limits = self.workflow.global_resources
        return int(limits["gpu"].value) if "gpu" in limits else None

    def end_retries(self, refused: Callable[[str], bool]) -> None:
        """From now on, a job that failed is not tried again if `refused(log)` is true of one of its logs."""
        times = Job.restart_times.fget
        Job.restart_times = property(lambda job: 0 if any(map(refused, map(str, job.log))) else times(job))

    def planned_jobs(self) -> Iterator[PlannedJob]:
        """The jobs that this build will run."""
        for job in self.workflow.dag.needrun_jobs():
            if not job.is_norun:
                yield PlannedJob(job.rule.name, job.wildcards, tuple(map(str, job.output)))
