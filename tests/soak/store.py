"""Loads `carafe up --data-dir` at a set rate, asks it all the time, and samples what it keeps.

Ends with status 1 where memory is over its budget or still grows in the second half, where the
disk is over the retention by size, or where a question fails.
"""

import argparse
import http.client
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "crash"))

from backend import Backend  # noqa: E402
from summary import parse  # noqa: E402

MIB = 1 << 20
SAMPLES = 30
TIMEOUT_S = 30
#: Over the last half, RSS may grow by this share of what it is in the middle.
GROWTH_LIMIT = 0.15
#: The process itself, its code and its threads' stacks, on top of the store's budget.
RSS_BESIDES_MIB = 192
#: Retention works in whole windows and some time after they are over the size.
DISK_LIMIT = 1.25
PAUSE_S = 0.1
LIMIT = 20


class Questions(threading.Thread):
    """Asks in turns, and keeps how long each kind took."""

    def __init__(self, backend, seed):
        super().__init__(daemon=True)
        self.backend = backend
        self.seconds = {}
        self.failed = 0
        self.found = 0
        self._seeded = random.Random(seed)
        self._ends = threading.Event()

    def ask(self, kind, path, **parameters):
        started = time.monotonic()
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.backend.query_port, timeout=TIMEOUT_S
        )
        try:
            connection.request("GET", f"{path}?{urllib.parse.urlencode(parameters)}")
            answer = connection.getresponse()
            body = json.loads(answer.read())
            if answer.status != 200:
                raise ValueError(answer.status)
        except (OSError, ValueError, http.client.HTTPException):
            self.failed += 1
            return {}
        finally:
            connection.close()
        self.seconds.setdefault(kind, []).append(time.monotonic() - started)
        return body

    def run(self):
        while not self._ends.wait(PAUSE_S):
            services = self.ask("services", "/api/services").get("data") or []
            if not services:
                continue
            service = self._seeded.choice(services)
            hour = {"end": time.time_ns() // 1000, "start": time.time_ns() // 1000 - 3600_000_000}
            search = {"service": service, "limit": LIMIT, **hour}
            traces = self.ask("service, newest 20", "/api/traces", **search).get("data") or []
            self.found += len(traces)
            tags = json.dumps({"http.host": "shop.example.com"})
            self.ask("http.host, newest 20", "/api/traces", tags=tags, **search)
            self.ask("duration, newest 20", "/api/traces", minDuration="500ms", **search)
            self.ask("RED, one hour", "/api/carafe/v1/red", service=service, **hour)
            if traces:
                trace = self._seeded.choice(traces)["traceID"]
                self.ask("trace by id", f"/api/traces/{trace}")

    def end(self):
        self._ends.set()
        self.join()


def rss_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise KeyError("VmRSS")


def disk_mib(directory):
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total / MIB


def cpu_s(pid):
    """The clock's number is what clock_getcpuclockid(3) gives."""
    return time.clock_gettime((~pid << 3) | 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=100_000, help="spans per second")
    parser.add_argument("--retention-mb", type=int, default=2_000, help="retention by size")
    parser.add_argument("--memory-mib", type=int, default=512, help="the store's budget")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", help="where data goes, by default a temporary directory")
    options = parser.parse_args()
    carafe = os.environ["CARAFE"]
    with tempfile.TemporaryDirectory(prefix="carafe-soak-", dir=options.directory) as place:
        flags = ["--retention-size", f"{options.retention_mb}MB"]
        flags += ["--memory-limit", f"{options.memory_mib}MiB"]
        backend = Backend(carafe, place, *flags, often=False)
        backend.start()
        gen = [carafe, "gen", "--signals", "traces", "--seed", str(options.seed)]
        gen += ["--protocol", "http/protobuf", "--endpoint", backend.otlp_url]
        gen += ["--rate", str(options.rate), "--duration", f"{options.minutes * 60:.0f}s"]
        with open(f"{place}/gen.log", "w") as log:
            load = subprocess.Popen(gen, stdout=log, stderr=log)
        questions = Questions(backend, options.seed)
        questions.start()
        try:
            samples = watch(backend, load, options)
            questions.end()
            said = pathlib.Path(log.name).read_text()
            if load.wait():
                raise SystemExit(f"soak: carafe gen: {said[-3000:]}")
            summary = parse(said)
            used_s = cpu_s(backend.process.pid)
        finally:
            load.kill()
            backend.abandon()
    return report(samples, questions, summary, used_s, options)


def watch(backend, load, options):
    samples = []
    started = time.monotonic()
    while load.poll() is None:
        now = time.monotonic() - started
        if now >= len(samples) * options.minutes * 60 / SAMPLES:
            samples.append((now, rss_mib(backend.process.pid), disk_mib(backend.data)))
        time.sleep(0.2)
    samples.append(
        (time.monotonic() - started, rss_mib(backend.process.pid), disk_mib(backend.data))
    )
    return samples


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def report(samples, questions, summary, used_s, options):
    print(
        f"{summary.spans:,} spans in {summary.seconds:,.0f} s ({summary.per_second:,.0f}/s), "
        f"{used_s / summary.spans * 1e6:.2f} CPU s per million with the questions, "
        f"{summary.lost} rejected, {summary.retries} retried; "
        f"acknowledgement p50 {summary.p50_ms} ms, p99 {summary.p99_ms} ms"
    )
    print("\n| minute | RSS, MiB | disk, MiB |\n| ---: | ---: | ---: |")
    for when, rss, disk in samples[:: max(1, len(samples) // 10)]:
        print(f"| {when / 60:.1f} | {rss:,.0f} | {disk:,.0f} |")
    print(
        "\n| question | asked | p50, ms | p99, ms | most, ms |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for kind, seconds in questions.seconds.items():
        p50, p99, most = (percentile(seconds, share) * 1e3 for share in (0.5, 0.99, 1.0))
        print(f"| {kind} | {len(seconds):,} | {p50:,.1f} | {p99:,.1f} | {most:,.1f} |")
    return judge(samples, questions, summary, options)


def judge(samples, questions, summary, options):
    faults = []
    peak = max(rss for _, rss, _ in samples)
    budget = options.memory_mib + RSS_BESIDES_MIB
    if peak > budget:
        faults.append(f"RSS was {peak:,.0f} MiB, over {budget:,} MiB")
    half = samples[len(samples) // 2 :]
    third = max(1, len(half) // 3)
    first = percentile([rss for _, rss, _ in half[:third]], 0.5)
    last = percentile([rss for _, rss, _ in half[-third:]], 0.5)
    if last > first * (1 + GROWTH_LIMIT):
        faults.append(f"RSS still grew from {first:,.0f} to {last:,.0f} MiB in the second half")
    most = max(disk for _, _, disk in samples)
    if most > options.retention_mb * 1e6 / MIB * DISK_LIMIT:
        faults.append(f"the disk held {most:,.0f} MiB")
    if questions.failed:
        faults.append(f"{questions.failed} questions failed")
    if not questions.found:
        faults.append("no search found anything")
    if summary.lost:
        faults.append(f"{summary.lost} items were rejected")
    for fault in faults:
        print(f"soak: {fault}")
    if not faults:
        print("soak: within all limits")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
