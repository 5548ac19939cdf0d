"""Plain app, official agent and Carafe, in turns within one run. See README.md here."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median

from machine import cores, load, processor, version
from sides import CARAFE, OFFICIAL, PLAIN, SIDES, Program, ServerProgram, WorkerProgram

#: Requests of one turn, by page: about half a second of the plain app.
IN_PROCESS = {"/ping": 4_000, "/": 800, "/ten": 400}
#: Calls of one turn. A burst stays below the official queue of 2,048 spans as far as it can.
MICRO = {
    "span": 20_000,
    "current span": 10_000,
    "counter": 50_000,
    "histogram": 50_000,
    "log record": 20_000,
}
GUNICORN = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "1"]
UVICORN = [sys.executable, "-m", "uvicorn", "--port", "{port}", "--no-access-log"]
UVICORN += ["--log-level", "warning", "fastapi_app:app"]
SERVERS = [
    ("gunicorn sync, /ping", [*GUNICORN, "flask_app:app"], "/ping"),
    ("gunicorn sync, To-Do page", [*GUNICORN, "flask_app:app"], "/"),
    ("uvicorn, FastAPI /items/7", UVICORN, "/items/7"),
]
CONCURRENCIES = [1, 8]

#: Samples by side; the n-th ones of all sides belong together.
Samples = dict[str, list[float]]


@dataclass
class Row:
    """One figure of all sides."""

    name: str
    unit: str
    decimals: int
    samples: Samples = field(default_factory=lambda: defaultdict(list))

    def spread(self, side: str) -> str:
        values = self.samples[side]
        if not values:
            return ""
        low, middle, high = min(values), median(values), max(values)
        digits = self.decimals
        return f"{middle:,.{digits}f} ({low:,.{digits}f} – {high:,.{digits}f})"

    def added(self, side: str) -> float | None:
        pairs = list(zip(self.samples[PLAIN], self.samples[side], strict=False))
        return median(with_ - plain for plain, with_ in pairs) if pairs else None

    def ratio(self, side: str) -> float | None:
        pairs = list(zip(self.samples[PLAIN], self.samples[side], strict=False))
        return median(with_ / plain for plain, with_ in pairs) if pairs else None

    def line(self) -> str:
        cells = [f"{self.name}, {self.unit}" if self.unit else self.name]
        cells += [self.spread(side) for side in SIDES]
        for side in (OFFICIAL, CARAFE):
            added, ratio = self.added(side), self.ratio(side)
            if added is None or ratio is None:
                cells.append("")
            else:
                cells.append(f"{added:+,.{self.decimals}f} (×{ratio:.2f})")
        return f"| {' | '.join(cells)} |"


class Table:
    """Figures that belong together, in the order in which they were first noted."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.rows: dict[str, Row] = {}
        self.notes: Samples = defaultdict(list)

    def note(self, name: str, unit: str, decimals: int, side: str, value: float) -> None:
        row = self.rows.setdefault(name, Row(name, unit, decimals))
        row.samples[side].append(value)

    def text(self) -> str:
        lines = [
            f"### {self.title}",
            "",
            "| | plain | official | Carafe | official adds | Carafe adds |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *(row.line() for row in self.rows.values()),
            "",
        ]
        for name, values in self.notes.items():
            lines.append(f"- {name}: {median(values):,.2f}")
        return "\n".join(lines) + "\n"


def turns(options, number: int):
    """Forwards, backwards, forwards ...: a drift of the machine falls on all alike."""
    for turn in range(options.turns):
        yield SIDES if (number + turn) % 2 == 0 else SIDES[::-1]


def in_process(options) -> list[Table]:
    pages = {path: Table(f"In process, Flask `{path}`") for path in IN_PROCESS}
    micro = Table("One call of the API")
    rest = Table("In process, at rest")
    for number in range(options.rounds):
        running: dict[str, WorkerProgram] = {}
        try:
            for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                running[side] = WorkerProgram(side, options)
                rest.note(
                    "start to the first request served", "ms", 0, side, running[side].start_ms
                )
            for path, count in IN_PROCESS.items():
                before = sink_counts(running)
                asked = 0
                for program in running.values():
                    program.order(do="wsgi", path=path, count=count)
                asked += count
                for order in turns(options, number):
                    for side in order:
                        in_process_turn(running[side], path, count, pages[path])
                    asked += count
                note_arrivals(pages[path], running, before, asked)
            for side in SIDES:
                rest.note("RSS of the app", "MiB", 1, side, running[side].rss_mib())
                rest.note("threads of the app", "", 0, side, running[side].threads())
            rest.notes["RSS of the launcher, MiB"].append(running[CARAFE].launcher_rss_mib())
            for what, count in MICRO.items():
                for program in running.values():
                    program.order(do="micro", what=what, count=count // 10)
                for order in turns(options, number):
                    for side in order:
                        spent = running[side].order(do="micro", what=what, count=count)
                        micro.note(what, "µs", 2, side, spent["thread_ns"] / count / 1e3)
                        running[side].settle()
        finally:
            for program in running.values():
                program.stop()
        print(f"  in process, round {number + 1} of {options.rounds}", flush=True)
    return [*pages.values(), micro, rest]


def in_process_turn(program: WorkerProgram, path: str, count: int, table: Table) -> None:
    program.settle()
    app, launcher = program.app_cpu_ns(), program.launcher_cpu_ns()
    spent = program.order(do="wsgi", path=path, count=count)
    program.settle()
    app, launcher = program.app_cpu_ns() - app, program.launcher_cpu_ns() - launcher
    table.note("CPU on the request thread", "µs", 1, program.side, spent["thread_ns"] / count / 1e3)
    table.note("CPU of the app's processes", "µs", 1, program.side, app / count / 1e3)
    total = (app + launcher) / count / 1e3
    table.note("CPU with the launcher's", "µs", 1, program.side, total)


def sink_counts(running: dict[str, Program]) -> dict[str, int]:
    return {
        side: program.sink.counts()["spans"] for side, program in running.items() if program.sink
    }


def note_arrivals(table: Table, running, before: dict[str, int], asked: int) -> None:
    """How much of the work was done: spans that reached the backend, of those of a request."""
    for side, count in sink_counts(running).items():
        table.notes[f"spans that arrived per request, {side}"].append(
            (count - before[side]) / asked
        )


def served(options) -> list[Table]:
    tables = []
    for name, command, path in SERVERS:
        if options.server.lower() not in name.lower():
            continue
        by_concurrency = {
            number: Table(f"{name}, {number} connection{'s' if number > 1 else ''}")
            for number in CONCURRENCIES
        }
        for number in range(options.rounds):
            serve_round(options, command, path, number, by_concurrency)
            print(f"  {name}, round {number + 1} of {options.rounds}", flush=True)
        tables += by_concurrency.values()
    return tables


def serve_round(options, command, path: str, number: int, tables: dict[int, Table]) -> None:
    running: dict[str, ServerProgram] = {}
    first = tables[CONCURRENCIES[0]]
    try:
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            running[side] = ServerProgram(side, command, options)
            first.note("start to first answer", "ms", 0, side, running[side].start_ms)
        for program in running.values():
            load(program.port, 1, 1, options.nice, path)
        for connections, table in tables.items():
            before, asked = sink_counts(running), defaultdict(int)
            for order in turns(options, number):
                for side in order:
                    asked[side] += serve_turn(options, running[side], path, connections, table)
            for side, count in sink_counts(running).items():
                share = (count - before[side]) / asked[side]
                table.notes[f"spans that arrived per request, {side}"].append(share)
        for side in SIDES:
            first.note("RSS of the worker", "MiB", 1, side, running[side].rss_mib())
            first.note("threads of the worker", "", 0, side, running[side].threads())
        first.notes["RSS of the launcher, MiB"].append(running[CARAFE].launcher_rss_mib())
    finally:
        for program in running.values():
            program.stop()


def serve_turn(options, program: ServerProgram, path: str, connections: int, table: Table) -> int:
    program.settle()
    app, launcher = program.app_cpu_ns(), program.launcher_cpu_ns()
    result = load(program.port, connections, options.seconds, options.nice, path)
    program.settle()
    app, launcher = program.app_cpu_ns() - app, program.launcher_cpu_ns() - launcher
    side, count = program.side, result.requests
    table.note("requests per second", "", 0, side, count / result.seconds)
    table.note("latency p50", "µs", 0, side, result.p50_us)
    table.note("latency p99", "µs", 0, side, result.p99_us)
    table.note("CPU of the app's processes", "µs", 1, side, app / count / 1e3)
    table.note("CPU with the launcher's", "µs", 1, side, (app + launcher) / count / 1e3)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="fresh starts of all programs")
    parser.add_argument("--turns", type=int, default=5, help="times each side works per round")
    parser.add_argument("--seconds", type=int, default=3, help="length of one slice of load")
    parser.add_argument("--nice", type=int, help="as root: priority against other work, -20 to 19")
    parser.add_argument("--only", choices=["in-process", "served"], help="one half alone")
    parser.add_argument("--server", default="", help="only servers whose name contains this")
    parser.add_argument("--engine", help="take the Python engine from this directory")
    options = parser.parse_args()
    options.carafe = os.environ["CARAFE"]
    if cores() < 2:
        parser.error("needs two cores: one for the app, one for load, launcher and backend")
    tables = []
    if options.only != "served":
        tables += in_process(options)
    if options.only != "in-process":
        tables += served(options)
    print(
        f"\n{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {processor()}, {cores()} cores, ",
        end="",
    )
    print(f"{platform.system()} {platform.release()}; load average {os.getloadavg()[0]:.1f}")
    print(f"{version([options.carafe, '--version'])}; Python {platform.python_version()}; ", end="")
    print(f"{version(['wrk', '-v'])}; median (least – most) of")
    print(f"{options.rounds * options.turns} turns in {options.rounds} starts\n")
    print("\n".join(table.text() for table in tables))


if __name__ == "__main__":
    main()
