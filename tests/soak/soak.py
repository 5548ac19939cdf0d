"""Sends the same mixed requests to the plain app and to the app with the engine, at a fixed
rate, and compares what both keep: memory, threads, descriptors, objects.

Ends with status 1 where the app with the engine grew more than the plain one by more than the
limits below, between the end of the warm-up (a quarter of the time) and the end.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent

#: What one round of requests asks for; some of it fails on purpose.
PATHS = (
    "/page /spans/1 /spans/2 /error /sqlerror /abort /stream /threads /asyncio /client /refused "
    "/nowhere /ping /page?color=blue /spans/3"
).split()

#: By how much the app with the engine may grow more than the plain one after the warm-up.
LIMITS = {"rss_kib": 2048, "threads": 0, "descriptors": 2, "objects": 2000}
SAMPLES = 40


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Side:
    def __init__(self, name, launcher, directory):
        self.name = name
        self.port = free_port()
        self.connection = None
        self.samples = []
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("OTEL_")},
            "PORT": str(self.port),
            "SOAK_DB": f"{directory}/{name}.db",
        }
        self.log = open(f"{directory}/{name}.log", "w")
        self.process = subprocess.Popen(
            [*launcher, sys.executable, str(HERE / "app.py")],
            env=environment,
            stdout=self.log,
            stderr=self.log,
        )

    def wait(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                return self.get("/ping")
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"soak: {self.name} does not listen\n{self.messages()}")

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def app_pid(self):
        """The process that serves: the last of the chain of only children."""
        pid = self.process.pid
        while True:
            children = []
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                # A thread may end meanwhile.
                with contextlib.suppress(FileNotFoundError):
                    children += (task / "children").read_text().split()
            if not children:
                return pid
            pid = int(children[-1])

    def sample(self):
        census = json.loads(self.get("/census"))
        status = pathlib.Path(f"/proc/{self.app_pid()}/status").read_text()
        census["rss_kib"] = next(
            int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")
        )
        self.samples.append(census)

    def messages(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text(errors="replace")[-3000:]


def growth(side, what):
    """From the end of the warm-up to the end, each the median of five samples."""

    def median(samples):
        return sorted(sample[what] for sample in samples)[len(samples) // 2]

    quarter = len(side.samples) // 4
    return median(side.samples[-5:]) - median(side.samples[quarter : quarter + 5])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=float, default=100, help="requests per second and side")
    parser.add_argument("--engine", help="take the Python engine from this directory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        launcher = [os.environ["CARAFE"], "run", "--traces_exporter", "none"]
        launcher += ["--metrics_exporter", "none", "--logs_exporter", "none", "--"]
        if options.engine:
            launcher += ["env", f"PYTHONPATH={options.engine}"]
        sides = [Side("plain", [], directory), Side("carafe", launcher, directory)]
        try:
            for side in sides:
                side.wait()
            sent = soak(sides, options)
        finally:
            for side in sides:
                side.process.terminate()
                side.process.wait()
    return report(sides, sent, options)


def soak(sides, options):
    started = time.monotonic()
    seconds = options.minutes * 60
    sent = 0
    while (now := time.monotonic() - started) < seconds:
        if now >= len(sides[0].samples) * seconds / SAMPLES:
            for side in sides:
                side.sample()
        for side in sides:
            side.get(PATHS[sent % len(PATHS)])
        sent += 1
        ahead = sent / options.rate - (time.monotonic() - started)
        if ahead > 0:
            time.sleep(ahead)
    for side in sides:
        side.sample()
    return sent


def report(sides, sent, options):
    plain, carafe = sides
    print(f"{sent} requests to each side in {options.minutes:g} minutes")
    print(f"{'':12} {'first':>9} {'warm':>9} {'last':>9}   plain first/warm/last, growth over it")
    failed = False
    for what, limit in LIMITS.items():
        quarter = len(carafe.samples) // 4
        cells = [
            f"{side.samples[index][what]:>9}"
            for side in (carafe, plain)
            for index in (0, quarter, -1)
        ]
        more = growth(carafe, what) - growth(plain, what)
        is_over = more > limit
        failed |= is_over
        print(
            f"{what:12} {' '.join(cells)}   {more:+} (limit {limit}){' TOO MUCH' if is_over else ''}"
        )
    leaked = [sample for sample in carafe.samples if sample["current"] != "True"]
    # The request for the census itself has a span: without one the context was lost.
    if leaked:
        failed = True
        print(f"the current span was lost in {len(leaked)} of {len(carafe.samples)} samples")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
