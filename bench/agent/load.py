"""One slice of load by wrk, and what it says about it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from processes import LOAD_CORE, start

UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclass(frozen=True)
class Load:
    requests: int
    seconds: float
    p50_us: float
    p99_us: float


def load(port: int, connections: int, seconds: int, nice: int | None, path: str = "/") -> Load:
    """GETs of `path` over keep-alive connections, each asking again as soon as it is answered."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "--latency", "-t1", f"-c{connections}"]
    command += [f"-d{seconds}s", f"http://127.0.0.1:{port}{path}"]
    wrk = start(command, nice, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = wrk.communicate()
    if wrk.returncode != 0 or "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"the app did not answer every request:\n{output}")
    total = re.search(r"(\d+) requests in ([\d.]+)s", output)
    if not total:
        raise RuntimeError(f"wrk said something else than expected:\n{output}")
    return Load(int(total[1]), float(total[2]), percentile(output, 50), percentile(output, 99))


def percentile(output: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)\s*$", output, re.MULTILINE)
    if not found:
        raise RuntimeError(f"wrk gave no {percent} % latency:\n{output}")
    return float(found[1]) * UNITS_US[found[2]]
