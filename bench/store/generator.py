"""Filling a server: `carafe gen` with the settings that are the same for all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# At the end: both folders are programs, and the names of this one go first.
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "crash"))

from summary import Summary, parse  # noqa: E402

__all__ = ["Summary", "load"]


def load(options, otlp_url: str, spans: int, start: str) -> Summary:
    command = [options.environment["CARAFE"], "gen", "--signals", "traces"]
    command += ["--protocol", "http/protobuf", "--endpoint", otlp_url]
    command += ["--seed", str(options.seed), "--spans", str(spans), "--rate", str(options.rate)]
    command += ["--start", start, "--days", str(options.hours / 24)]
    command += ["--connections", str(options.connections)]
    ended = subprocess.run(command, capture_output=True, text=True, env=options.environment)
    said = ended.stdout + ended.stderr
    if ended.returncode:
        raise RuntimeError(f"carafe gen: {said[-2000:]}")
    return parse(said)
