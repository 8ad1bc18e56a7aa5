"""A Slurm of two nodes on this machine, each with a made-up GPU. No database, no cgroups, no systemd; root only.

Inside `with Slurm() as slurm`, every process on this machine can call sbatch, squeue and the rest.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

# The executor plugin unsets SLURM_CONF in its jobs, so the config must be in the default place.
ETC = Path("/etc/slurm")
FILES = ("slurm.conf", "gres.conf")
MARK = "# lmrep test cluster, started by process "
NODES = ("lmrep-n1", "lmrep-n2")
NEEDS = ("slurmctld", "slurmd", "munged", "mungekey", "sbatch", "squeue", "scontrol", "scancel", "setpriv")

# CPUs and memory are enough for four runs, so only the GPUs limit them to two.
CONFIG = """\
ClusterName=lmrep
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=16817
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MinJobAge=3600
KillWait=3
SlurmdTimeout=10
SlurmctldTimeout=20
ReturnToService=1
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={nodes[0]} NodeHostname=localhost NodeAddr=127.0.0.1 Port=16821 CPUs=4 RealMemory=20000 Gres=gpu:1
NodeName={nodes[1]} NodeHostname=localhost NodeAddr=127.0.0.1 Port=16822 CPUs=4 RealMemory=20000 Gres=gpu:1
PartitionName=main Nodes={nodes[0]},{nodes[1]} Default=YES MaxTime=600 DefMemPerCPU=500 State=UP
"""
GRES = """\
AutoDetect=off
NodeName={nodes[0]} Name=gpu File=/dev/null
NodeName={nodes[1]} Name=gpu File=/dev/null
"""


def why_not() -> str:
    """Returns why the cluster cannot be started here, or "" if it can."""
    if os.environ.get("LMREP_SLURM") != "1":
        return f"LMREP_SLURM is not 1 (the test writes to {ETC})"
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in NEEDS if not shutil.which(name)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    for path in (ETC / name for name in FILES):
        first = path.read_text().partition("\n")[0] if path.exists() else MARK + "0"
        if not first.startswith(MARK):
            return f"{path} belongs to another cluster"
        if Path("/proc", first.removeprefix(MARK)).exists():
            return f"{path} is in use by process {first.removeprefix(MARK)}"
    return ""


@dataclass(frozen=True)
class Job:
    id: str
    state: str
    node: str  # "" while it waits
    about: str  # its comment, or its name if it has no comment
    gpus: str  # for example lmrep-n1:gpu:1(IDX:0); "" if it has none or still waits


class Slurm:
    def __enter__(self) -> "Slurm":
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        with ExitStack() as undo:
            # Not in pytest's folder: munge rejects its permissions, and its path is too long for a socket.
            self.folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
            self.folder.chmod(0o755)
            undo.callback(self.stop)
            self.write_config()
            key = self.folder / "munge.key"
            subprocess.run(["mungekey", "--create", f"--keyfile={key}"], check=True)
            self.start(
                "munged", "--foreground", f"--key-file={key}", f"--socket={self.folder}/munge.socket",
                f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log",
                f"--seed-file={self.folder}/munged.seed",
            )  # fmt: skip
            wait_until(lambda: (self.folder / "munge.socket").exists(), 10, "munge was up", self.logs)
            (self.folder / "state").mkdir()
            self.start("slurmctld", "-D")
            for node in NODES:
                self.revive(node)
            wait_until(lambda: set(self.nodes().values()) == {"idle"}, 60, "both nodes were idle", self.logs)
            self.undo = undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self.undo.close()

    def write_config(self) -> None:
        for name, text in zip(FILES, (CONFIG, GRES), strict=True):
            values = text.format(folder=self.folder, nodes=NODES)
            (ETC / name).write_text(f"{MARK}{os.getpid()}\n{values}")

    def start(self, *command: str, name: str = "") -> None:
        """Starts a daemon that dies with this process, even if this process is killed."""
        self.daemons[name or command[0]] = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def stop(self) -> None:
        for node in NODES:
            self.kill_node(node)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for name in FILES:
            (ETC / name).unlink(missing_ok=True)

    def logs(self) -> str:
        """Returns the end of every daemon's log. Fatal errors are printed nowhere else."""
        return "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.log")))

    def nodes(self) -> dict[str, str]:
        """Returns the state of each node."""
        return dict(line.split("|") for line in output("sinfo", "-h", "-N", "-o", "%N|%T").splitlines())

    def jobs(self) -> list[Job]:
        """Returns every job that Slurm still remembers, in the order of submission."""
        found = []
        for record in output("scontrol", "show", "job", "-d", "-o").splitlines():
            if not record.startswith("JobId="):
                continue  # there are no jobs yet
            facts = dict(field.partition("=")[::2] for field in record.split())
            node = facts["NodeList"].replace("(null)", "")
            gpus = f"{node}:{facts['GRES']}" if "gpu" in facts.get("GRES", "") else ""
            about = facts.get("Comment", facts["JobName"])
            found.append(Job(facts["JobId"], facts["JobState"], node, about, gpus))
        return found

    def cancel(self, job: Job) -> None:
        subprocess.run(["scancel", job.id], check=True)

    def kill_node(self, node: str) -> None:
        """Kills everything that runs on a node at once, as a power failure does."""
        processes = [path for path in Path("/proc").iterdir() if path.name.isdecimal()]
        log, mark = self.folder / f"{node}.log", f"SLURMD_NODENAME={node}\0".encode()
        # slurmd and slurmstepd first, or they tell slurmctld that the job's processes ended.
        watchers = [process for process in processes if has_open(process, log)]
        for process in [*watchers, *(process for process in processes if mark in environment(process))]:
            with suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)
        if node in self.daemons:
            self.daemons.pop(node).wait()

    def revive(self, node: str) -> None:
        self.start("slurmd", "-D", "-N", node, name=node)


def has_open(process: Path, file: Path) -> bool:
    try:
        return any(link.readlink() == file for link in (process / "fd").iterdir())
    except OSError:  # the process has ended
        return False


def environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # the process has ended
        return b""


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def wait_until(holds: Callable[[], bool], seconds: float, what: str, report: Callable[[], str]) -> None:
    """Waits until `holds()` is true.

    Raises TimeoutError with the text of `report()` if that takes more than `seconds`.
    """
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s until {what}\n{report()}")
        time.sleep(0.5)
