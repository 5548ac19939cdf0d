"""Carafe's store and its peers, filled with the same spans and asked the same questions in one
run. See README.md here."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import machine
import queries
from generator import Summary, load
from queries import KINDS, Answer, Questions, ask
from servers import SERVERS, Carafe, Server

#: Requests per kind of question, all answered from a warm cache after one round that is not timed.
WARM_REQUESTS = 60
#: One kind of question on one server takes no longer than this.
KIND_BUDGET_S = 30.0


@dataclass
class Side:
    """What one server showed at one scale."""

    name: str
    version: str
    durability: str
    load: Summary | None = None
    #: Of the server's process, until the last acknowledgement and until it had come to rest.
    cpu_s: float = 0.0
    settled_cpu_s: float = 0.0
    settle_s: float = 0.0
    rss_peak_mib: float = 0.0
    rss_rest_mib: float = 0.0
    disk_bytes: int = 0
    disk_stopped_bytes: int = 0
    start_s: list[float] = field(default_factory=list)
    warm: dict[str, list[Answer]] = field(default_factory=dict)
    cold: dict[str, list[Answer]] = field(default_factory=dict)


def fill(server: Server, options, spans: int, start: str, side: Side) -> None:
    server.start()
    before = machine.cpu_ns(server.pid)
    side.load = load(options, server.otlp_url, spans, start)
    if side.load.lost:
        print(f"  {server.name}: {side.load.lost:,} spans were rejected for good")
    side.cpu_s = (machine.cpu_ns(server.pid) - before) / 1e9
    side.settle_s = machine.settle(server.pid)
    side.settled_cpu_s = (machine.cpu_ns(server.pid) - before) / 1e9
    side.rss_peak_mib = machine.status(server.pid, "VmHWM") / 1024
    side.rss_rest_mib = machine.status(server.pid, "VmRSS") / 1024
    side.disk_bytes = machine.disk_bytes(server.data)


def asked_warm(server: Server, questions: Questions, kind: str) -> list[Answer]:
    answers = []
    variants = questions.of(kind)
    until = time.monotonic() + KIND_BUDGET_S
    for index in range(-len(variants), WARM_REQUESTS):
        answer = ask(server, variants[index % len(variants)], questions)
        if answer is None:
            return []
        if index >= 0:
            answers.append(answer)
        if time.monotonic() > until and answers:
            break
    return answers


def asked_cold(server: Server, questions: Questions, side: Side, rounds: int) -> None:
    """Every answer the first one of a server just started, none of its files in the cache."""
    for kind in KINDS:
        for variant in questions.of(kind)[:rounds]:
            server.stop()
            machine.evict(server.data)
            side.start_s.append(server.start())
            answer = ask(server, variant, questions)
            if answer is None:
                break
            side.cold.setdefault(kind, []).append(answer)


def measure(options, spans: int, directory: Path) -> list[Side]:
    """All servers at one scale, one after the other; the questions come from the first."""
    ended = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    started = ended - datetime.timedelta(hours=options.hours)
    start = started.isoformat().replace("+00:00", "Z")
    questions = None
    sides = []
    for kind in options.servers:
        if kind.max_spans and spans > kind.max_spans:
            print(f"  {kind.name}: left out, holds at most {kind.max_spans:,} spans")
            continue
        place = directory / f"{kind.__name__}-{spans}"
        server = kind(place, options.environment)
        side = Side(kind.name, server.version(), kind.durability)
        try:
            print(f"  {kind.name}: filling", flush=True)
            fill(server, options, spans, start, side)
            print(f"  {kind.name}: asking", flush=True)
            if questions is None:
                until = int(ended.timestamp() * 1e6)
                questions = queries.sample(
                    server, int(started.timestamp() * 1e6), until, options.seed
                )
            side.warm = {name: asked_warm(server, questions, name) for name in KINDS}
            if kind.max_spans is None:  # memory only: nothing is left after a stop
                asked_cold(server, questions, side, options.cold)
                server.stop()
                side.disk_stopped_bytes = machine.disk_bytes(server.data)
            sides.append(side)
            report(sides[-1:], spans)  # the table of all follows; a run may be ended before
        except RuntimeError as error:
            print(f"  {kind.name}: given up: {error}")
        finally:
            server.stop()
            if not options.keep:
                shutil.rmtree(place)
    return sides


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def milliseconds(answers: list[Answer]) -> str:
    """`p50 / p99 ms (found)`, or what went wrong."""
    if not answers:
        return "–"
    failed = sum(answer.found < 0 for answer in answers)
    if failed:
        return f"{failed} of {len(answers)} failed"
    seconds = [answer.seconds * 1e3 for answer in answers]
    found = statistics.mean(answer.found for answer in answers)
    p50, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
    return f"{p50:,.1f} / {p99:,.1f} ({found:.0f})"


def row(title: str, cells: list[str]) -> None:
    print(f"| {title} | {' | '.join(cells)} |")


def ratios(values: list[float], more_is_better: bool, form: str) -> list[str]:
    """Each value, and for the peers by how much Carafe, the first, is better."""
    cells = []
    for index, value in enumerate(values):
        text = format(value, form) if value else "–"
        if index and value and values[0]:
            ratio = values[0] / value if more_is_better else value / values[0]
            text += f" (×{ratio:.2f})"
        cells.append(text)
    return cells


def report(sides: list[Side], spans: int) -> None:
    million = spans / 1e6
    print(f"\n### {spans:,} spans\n")
    row("", [f"{side.name}" for side in sides])
    row("---", ["---:" for _ in sides])
    loads = [side.load for side in sides]
    row("spans per second", ratios([each.per_second for each in loads], True, ",.0f"))
    per_cpu = [side.load.spans / side.cpu_s for side in sides]
    row("spans per CPU-second, until acknowledged", ratios(per_cpu, True, ",.0f"))
    settled = [side.load.spans / side.settled_cpu_s for side in sides]
    row("spans per CPU-second, until at rest", ratios(settled, True, ",.0f"))
    row("CPU s per million spans", [f"{side.settled_cpu_s / million:.2f}" for side in sides])
    row("acknowledgement p50 / p99, ms", [f"{each.p50_ms} / {each.p99_ms}" for each in loads])
    row("refusals that were retried", [f"{each.retries:,}" for each in loads])
    row("RSS, peak, MiB", ratios([side.rss_peak_mib for side in sides], False, ",.0f"))
    row("RSS, at rest, MiB", ratios([side.rss_rest_mib for side in sides], False, ",.0f"))
    row("bytes on disk per span", ratios([side.disk_bytes / spans for side in sides], False, ".1f"))
    stopped = [side.disk_stopped_bytes / spans for side in sides]
    row("bytes on disk per span, stopped", ratios(stopped, False, ".1f"))
    starts = [statistics.median(side.start_s) if side.start_s else 0.0 for side in sides]
    row("start to first answer, cold, s", ratios(starts, False, ".2f"))
    for name, answers in (("warm", "warm"), ("cold", "cold")):
        for kind in KINDS:
            cells = [milliseconds(getattr(side, answers).get(kind, [])) for side in sides]
            row(f"{kind}, {name}: p50 / p99 ms (found)", cells)
    print("\nWhat an acknowledged span survives:")
    for side in sides:
        print(f"- {side.name} ({side.version}): {side.durability}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", default="1e6,1e7", help="scales, for example 1e6,1e7,5e7")
    parser.add_argument("--servers", default="", help="only those, for example Carafe,Zipkin")
    parser.add_argument("--rate", type=int, default=0, help="spans per second; 0: full speed")
    parser.add_argument("--hours", type=float, default=24, help="event time is spread over")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--cold", type=int, default=3, help="cold starts per kind of question")
    parser.add_argument("--directory", help="where the data goes, by default a temporary one")
    parser.add_argument("--keep", action="store_true", help="leave the data in --directory")
    parser.add_argument("--json", help="all figures, as JSON, to this file")
    options = parser.parse_args()
    options.environment = dict(os.environ)
    wanted = [name.lower() for name in options.servers.split(",") if name]
    options.servers = []
    for kind, variable in SERVERS.items():
        if wanted and not any(name in kind.__name__.lower() for name in wanted):
            continue
        if variable in os.environ:
            options.servers.append(kind)
        else:
            print(f"bench/store: {kind.name} is left out: {variable} names no program")
    if not options.servers or options.servers[0] is not Carafe:
        parser.error("Carafe must be among the servers: the questions come from its data")
    return options


def main() -> int:
    options = arguments()
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    print(
        f"{now}; {machine.cores()} cores ({machine.processor()}), {memory_gib} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}, load average {os.getloadavg()[0]:.1f}"
    )
    results = {}
    with tempfile.TemporaryDirectory(prefix="carafe-bench-") as temporary:
        directory = Path(options.directory or temporary)
        for text in options.spans.split(","):
            spans = int(float(text))
            sides = measure(options, spans, directory)
            report(sides, spans)
            results[spans] = [asdict(side) for side in sides]
    if options.json:
        Path(options.json).write_text(json.dumps(results, default=sorted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
