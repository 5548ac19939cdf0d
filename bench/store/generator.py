"""Filling a server: `carafe gen` with the settings that are the same for all."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What the generator says about what it sent."""

    spans: int
    seconds: float
    sent_bytes: int
    refused: int
    p50_ms: float
    p99_ms: float
    generator_cpu_s: float

    @property
    def per_second(self) -> float:
        return self.spans / self.seconds


def load(options, otlp_url: str, spans: int, start: str) -> Load:
    command = [options.environment["CARAFE"], "gen", "--json", "--signals", "traces"]
    command += ["--protocol", "http/protobuf", "--endpoint", otlp_url]
    command += ["--seed", str(options.seed), "--spans", str(spans), "--rate", str(options.rate)]
    command += ["--start", start, "--range", f"{options.hours}h"]
    command += ["--connections", str(options.connections)]
    ended = subprocess.run(command, capture_output=True, text=True, env=options.environment)
    if ended.returncode:
        raise RuntimeError(f"carafe gen: {ended.stderr[-2000:]}")
    summary = json.loads(ended.stdout.strip().splitlines()[-1])
    return Load(
        spans=summary["accepted_spans"],
        seconds=summary["seconds"],
        sent_bytes=summary["bytes"],
        refused=summary["rejected"] + summary["retried"],
        p50_ms=summary["ack_p50_ms"],
        p99_ms=summary["ack_p99_ms"],
        generator_cpu_s=summary["cpu_seconds"],
    )
