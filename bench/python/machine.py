"""Processes, cores and clocks: what bench/agent has, and what it lacks."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

# At the end: both folders are programs, and the names of this one go first.
sys.path.append(str(Path(__file__).resolve().parents[1] / "agent"))

from load import Load, load  # noqa: E402
from processes import (  # noqa: E402
    APP_CORE,
    LOAD_CORE,
    children,
    cores,
    cpu_ns,
    free_port,
    start,
    status,
    tree,
    version,
)

__all__ = [
    "APP_CORE",
    "LOAD_CORE",
    "Load",
    "answers",
    "children",
    "cores",
    "cpu_ns",
    "free_port",
    "load",
    "processor",
    "start",
    "status",
    "tree",
    "version",
]


def answers(port: int) -> bool:
    """Whether a server answers `GET /ping`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /ping HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"
