"""Processes, disks and caches: what bench/agent has, and what it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

# At the end: both folders are programs, and the names of this one go first.
sys.path.append(str(Path(__file__).resolve().parents[1] / "agent"))

from processes import cores, cpu_ns, free_port, start, status, version  # noqa: E402

__all__ = [
    "cores",
    "cpu_ns",
    "disk_bytes",
    "evict",
    "free_port",
    "processor",
    "settle",
    "start",
    "status",
    "stop",
    "version",
]

STOP_DEADLINE_S = 120.0
#: A server is at rest when it has used less than this share of a core for `QUIET_S`. Longer than
#: any of the servers waits before it writes, merges or compacts what it has in memory.
QUIET_SHARE = 0.03
QUIET_S = 12.0
SETTLE_DEADLINE_S = 600.0


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def disk_bytes(directory: Path) -> int:
    """What the files occupy, holes not counted (Badger's files are sparse)."""
    total = 0
    for path in files(directory):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:  # merged away meanwhile
            continue
    return total


def evict(directory: Path) -> None:
    """Drops the files from the page cache. No process may have them mapped."""
    for path in files(directory):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # dirty pages stay in the cache
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def settle(pid: int) -> float:
    """Waits until a server has come to rest; gives the seconds it took without the quiet ones."""
    started = time.monotonic()
    quiet_since, before = started, cpu_ns(pid)
    while time.monotonic() - quiet_since < QUIET_S:
        if time.monotonic() - started > SETTLE_DEADLINE_S:
            print(f"  still busy after {SETTLE_DEADLINE_S:.0f} s")
            break
        time.sleep(0.5)
        now = cpu_ns(pid)
        if now - before > QUIET_SHARE * 0.5e9:
            quiet_since = time.monotonic()
        before = now
    return quiet_since - started


def stop(process: subprocess.Popen[str]) -> None:
    """Asks a server to end and waits until it has."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            print(f"  killed: did not end within {STOP_DEADLINE_S:.0f} s")
            process.kill()
            process.wait()
