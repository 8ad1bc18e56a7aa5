# The start and the end of a build.
import shutil
from contextlib import suppress

from lmrep.descent.checkpoint import forget_state
from lmrep.inputs.paths import pin_path
from lmrep.workflow.announce import announcement, check_network
from lmrep.workflow.job import forget_refusals, refusal_path
from lmrep.workflow.session import begin_build, end_with_build, hold_folder
from lmrep.workflow.source import keep_sources

# Snakemake reads the rules again for each job. This ends such a process with its build.
or_refuse(end_with_build)
# The profiles of clusters retry a job after a dead node. Bad input is as bad the next time.
engine.end_retries(lambda log: refusal_path(log).exists())


def begin():
    """Refuses a second build of the study in this folder. Jobs on this machine end with the build."""
    or_refuse(hold_folder, Path(".snakemake"), study.name)
    forget_refusals(Path(LOGS))
    keep_sources()  # each job reads the rules again
    if engine.runs_here:
        begin_build()


def announce():
    """Says what this build will do, and refuses if a GPU or a host is missing."""
    jobs = list(engine.planned_jobs())
    optimised = [job for job in jobs if job.rule in ("optimise_run", "optimise_shard")]
    runs = {Path(job.outputs[0]): job_run(job.wildcards) for job in optimised}
    fetched = {output for job in jobs if job.rule in ("fetch_weights", "fetch_image") for output in job.outputs}
    pins = [pin for weights in study.weights.values() for pin in weights.pins if str(pin_path(weights, pin)) in fetched]
    images = [image for image in study.images.values() if image_path(image) in fetched]
    cards = len(runs) if engine.gpus is None else engine.gpus
    for line in or_refuse(announcement, study, runs, pins, images, engine.cores, engine.runs_here, cards):
        print(f"lmrep: {line}", file=sys.stderr)
    or_refuse(check_network, pins, images)


def forget_states():
    """Removes the saved states, and the shards of another jobs_per_run, of the runs that are finished.

    Shards newer than their run are those of a later build, which was interrupted: its run file is of older settings.
    """
    for name in study.runs:
        run, folder = Path(run_path(name)), Path(shard_path(name, 1)).parent
        if run.exists():
            forget_state(run)
            if all(part.stat().st_mtime <= run.stat().st_mtime for part in folder.glob("*")):
                shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # not empty: some runs are not finished
        Path(shard_path("", 1)).parent.rmdir()
