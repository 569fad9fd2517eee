"""What the kernel says about processes: who belongs to whom, how much processor time and memory they took."""

import os
import time
from collections import defaultdict
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def _fields(pid: int) -> list[str]:
    """/proc/<pid>/stat from the third field on; empty if the process is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of these processes so far."""
    return sum(int(fields[11]) + int(fields[12]) for fields in map(_fields, pids) if fields) / _TICKS


def descendants(pid: int) -> list[int]:
    """The process itself and all below it."""
    children = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _fields(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found = [pid]
    for parent in found:
        found.extend(children[parent])
    return found


def server_workers(pid: int) -> list[int]:
    """The worker processes of the one Gunicorn among a process and its descendants."""
    ours = descendants(pid)
    master = next((each for each in ours if "gunicorn" in _command(each)), None)
    return [each for each in ours if master and (_fields(each) or ["", "0"])[1] == str(master)]


def _command(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident and proportional set size in megabytes (10^6 bytes)."""
    sizes = {}
    try:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
            name, size = line.split()[:2]
            sizes[name] = int(size) * 1024 / 1e6
    except OSError:
        return 0.0, 0.0
    return sizes.get("Rss:", 0.0), sizes.get("Pss:", 0.0)


def machine_busy_seconds() -> float:
    """Processor time that anybody on this machine used since it started, all cores together."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, (_PROC / "stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS


def machine() -> str:
    """The processor's name and how many cores this process may use."""
    lines = (_PROC / "cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    memory = int((_PROC / "meminfo").read_text().split()[1]) * 1024 / 1e9
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GB, Linux {os.uname().release}"


class Busy:
    """How much of the machine others used since this was made. Ask it after our own processes have ended."""

    def __init__(self) -> None:
        self._start, self._machine, self._ours = time.monotonic(), machine_busy_seconds(), _family_seconds()

    def foreign_share(self) -> float:
        """Between 0 and 1, of all cores."""
        foreign = machine_busy_seconds() - self._machine - (_family_seconds() - self._ours)
        return max(0.0, foreign) / ((time.monotonic() - self._start) * (os.cpu_count() or 1))


def _family_seconds() -> float:
    """This process and all that it started and saw ending."""
    return sum(os.times()[:4])
