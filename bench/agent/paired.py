"""An app alone against the same app under `carafe run`, in turns within one run.

Three sides: the app alone; the app alone while a busy loop takes the launcher's place beside the
load generator; the app under `carafe run`. The second is the control: it is asked as seldom as the
third, so the two find as many requests waiting at each wake-up, which decides a good part of what
a request costs."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

import engine
from load import Load, load
from processes import LOAD_CORE, App, Running, cores, start, version

Samples = dict[str, list[float]]

ALONE = "alone"
CONTROL = "alone, core shared"
UNDER = "under `carafe run`"
SIDES = [ALONE, CONTROL, UNDER]

CPU = "CPU in the app per request"
THROUGHPUT = "requests per second"
START = "start to first answer"
RSS = "RSS of the app after load"
THREADS = "threads of the app"

# name, unit, decimals: what is compared, in the order of the table.
UNDER_LOAD = [
    (CPU, "µs", 2),
    (THROUGHPUT, "/s", 0),
    ("latency p50", "µs", 0),
    ("latency p99", "µs", 0),
]
AT_REST = [(START, "ms", 1), (RSS, "MiB", 1), (THREADS, "", 0)]


class Results:
    """Samples by side; the n-th ones of all sides belong together."""

    def __init__(self) -> None:
        self.sides: dict[str, Samples] = {side: defaultdict(list) for side in SIDES}
        # What only the launcher's side has.
        self.launcher: Samples = defaultdict(list)

    def difference(self, name: str, base: str) -> float:
        pairs = zip(self.sides[base][name], self.sides[UNDER][name], strict=True)
        return median(under - alone for alone, under in pairs)

    def ratio(self, name: str, base: str) -> float:
        pairs = zip(self.sides[base][name], self.sides[UNDER][name], strict=True)
        return median(under / alone for alone, under in pairs)


def measure(app: App, carafe: str, plan: argparse.Namespace) -> Results:
    results = Results()
    for number in range(plan.rounds):
        measure_round(app, carafe, plan, number, results)
        shown = results.difference(CPU, CONTROL)
        print(f"  round {number + 1}: so far {shown:+.2f} µs per request", flush=True)
    return results


def measure_round(
    app: App, carafe: str, plan: argparse.Namespace, number: int, results: Results
) -> None:
    """Both programs started afresh and loaded in turns; the idle one uses no CPU meanwhile."""
    order = [None, carafe] if number % 2 == 0 else [carafe, None]
    running: dict[bool, Running] = {}
    try:
        for launcher in order:
            running[launcher is not None] = Running(app, launcher, plan.nice)
        alone, under = running[False], running[True]
        for program in (alone, under):
            load(program.port, plan.connections, plan.warm_up, plan.nice)
        requests = 0
        spans_before = under.stored_spans()
        launcher_before = under.launcher_cpu_ns()
        for turn in range(plan.turns):
            # Forwards, backwards, forwards ...: a drift of the machine falls on all alike.
            for side in SIDES if (number + turn) % 2 == 0 else reversed(SIDES):
                into = results.sides[side]
                if side == UNDER:
                    requests += measure_slice(under, plan, into).requests
                elif side == ALONE:
                    measure_slice(alone, plan, into)
                else:
                    beside_a_busy_loop(alone, plan, into)
        launcher = results.launcher
        if engine.is_possible():
            sampling = engine.Sampling(under.app_pid, plan.nice)
            spent: Samples = defaultdict(list)
            requests += measure_slice(under, plan, spent).requests
            share = sampling.share()
            if share is not None:
                name = "CPU in the engine's own code in the app per request, by samples, µs"
                launcher[name].append(share * spent[CPU][0])
        spent_ns = under.launcher_cpu_ns() - launcher_before
        launcher["CPU in the launcher per request, µs"].append(spent_ns / requests / 1e3)
        launcher["RSS of the launcher with the store, MiB"].append(under.launcher_rss_kib() / 1024)
        for side, program in ((ALONE, alone), (UNDER, under)):
            into = results.sides[side]
            into[START].append(program.start_s * 1e3)
            into[RSS].append(program.rss_kib() / 1024)
            into[THREADS].append(program.threads())
        # Those of the warm-up's last instants are counted here, this load's last ones are not.
        stored = under.stored_spans() - spans_before
        launcher["spans stored per request answered"].append(stored / requests)
    finally:
        for program in running.values():
            program.stop()
    for line in under.messages().splitlines():
        if "dropped" in line or "disabled" in line or "lost" in line:
            print(f"  launcher: {line}")


def measure_slice(program: Running, plan: argparse.Namespace, into: Samples) -> Load:
    before = program.app_cpu_ns()
    result = load(program.port, plan.connections, plan.seconds, plan.nice)
    spent = program.app_cpu_ns() - before
    into[CPU].append(spent / result.requests / 1e3)
    into[THROUGHPUT].append(result.requests / result.seconds)
    into["latency p50"].append(result.p50_us)
    into["latency p99"].append(result.p99_us)
    return result


def beside_a_busy_loop(program: Running, plan: argparse.Namespace, into: Samples) -> None:
    loop = ["taskset", "-c", LOAD_CORE, "sh", "-c", "while :; do :; done"]
    busy = start(loop, plan.nice, stdout=subprocess.DEVNULL)
    try:
        measure_slice(program, plan, into)
    finally:
        busy.kill()
        busy.wait()


def spread(values: list[float], decimals: int) -> str:
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:,.{decimals}f} ({low:,.{decimals}f} – {high:,.{decimals}f})"


def row(results: Results, sides: list[str], compared: tuple[str, str, int], base: str) -> str:
    name, unit, decimals = compared
    cells = [f"{name}, {unit}" if unit else name]
    cells += [spread(results.sides[side][name], decimals) for side in sides]
    cells.append(f"{results.ratio(name, base):.3f}")
    cells.append(f"{results.difference(name, base):+,.{decimals}f}")
    return f"| {' | '.join(cells)} |"


def report(app: App, results: Results) -> str:
    turns = len(results.sides[UNDER][CPU])
    starts = len(results.sides[UNDER][START])
    lines = [
        f"### {app.name}",
        "",
        f"Median (least – most) of {turns} turns; ratio and difference are medians over the turns,",
        f"of the last column against “{CONTROL}”.",
        "",
        f"| | {' | '.join(SIDES)} | ratio | difference |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(row(results, SIDES, compared, CONTROL) for compared in UNDER_LOAD),
        "",
        f"The same of {starts} starts, against “{ALONE}”.",
        "",
        f"| | {ALONE} | {UNDER} | ratio | difference |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(row(results, [ALONE, UNDER], compared, ALONE) for compared in AT_REST),
        "",
        *(f"- {name}: {spread(values, 2)}" for name, values in results.launcher.items()),
    ]
    return "\n".join(lines) + "\n"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def apps(carafe: str, directory: str) -> list[App]:
    here = Path(__file__).parent
    todo = [carafe, "todo", "--listen", "127.0.0.1:{port}", "--db", f"{directory}/{{port}}.db"]
    return [
        App("axum: `carafe todo`, GET /", todo),
        App("Node: hello over `node:http`, GET /", ["node", str(here / "hello.js"), "{port}"]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="an app alone against the app under carafe run")
    parser.add_argument("--rounds", type=int, default=5, help="fresh starts of both programs")
    parser.add_argument("--turns", type=int, default=5, help="times each side is loaded per round")
    parser.add_argument("--seconds", type=int, default=1, help="length of one slice of load")
    parser.add_argument("--warm-up", type=int, default=1, help="seconds of load before the first")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--nice", type=int, help="as root: priority against other work, -20 to 19")
    parser.add_argument("--app", default="", help="only apps whose name contains this")
    options = parser.parse_args()
    if cores() < 2:
        parser.error("needs two cores: one for the app, one for load and launcher")
    carafe = os.environ["CARAFE"]
    tables = []
    with tempfile.TemporaryDirectory() as directory:
        for app in apps(carafe, directory):
            if options.app.lower() in app.name.lower():
                print(app.name, flush=True)
                tables.append(report(app, measure(app, carafe, options)))
    print(
        f"\n{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {processor()}, {cores()} cores, ",
        end="",
    )
    print(f"{platform.system()} {platform.release()}; load average {os.getloadavg()[0]:.1f}")
    print(f"{version([carafe, '--version'])}; node {version(['node', '--version'])}; ", end="")
    print(f"{version(['wrk', '-v'])}; {options.connections} connections\n")
    print("\n".join(tables))


if __name__ == "__main__":
    main()
