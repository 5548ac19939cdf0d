"""The sides of the comparison: an app alone, under the official agent, and under `carafe run`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import machine
from machine import APP_CORE, LOAD_CORE, children, cpu_ns, free_port, start, status, tree

HERE = Path(__file__).resolve().parent

PLAIN = "plain"
OFFICIAL = "official"
CARAFE = "Carafe"
SIDES = [PLAIN, OFFICIAL, CARAFE]

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 20.0
#: The launcher and the official exporter work on after the last request: their CPU counts.
SETTLE_DEADLINE_S = 3.0


class Sink:
    """An OTLP receiver of one side."""

    def __init__(self) -> None:
        command = ["taskset", "-c", LOAD_CORE, sys.executable, str(HERE / "sink.py")]
        self._process = start(command, None, stdout=subprocess.PIPE)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())

    def counts(self) -> dict[str, int]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/count", timeout=60) as answer:
            return json.load(answer)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Program:
    """One side's program while it runs."""

    def __init__(self, side: str, command: list[str], options, **variables: str) -> None:
        self.side = side
        self.sink = Sink() if side != PLAIN else None
        self._directory = tempfile.TemporaryDirectory()
        self._messages = open(Path(self._directory.name) / "stderr", "w+")
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OTEL_", "CARAFE", "PYTHON"))
        }
        environment |= {"TODO_DB": f"{self._directory.name}/todo.db"}
        environment |= {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "", **variables}
        bin_directory = Path(sys.executable).parent
        app = ["taskset", "-c", APP_CORE]
        if self.sink:
            environment |= {
                "OTEL_SERVICE_NAME": "bench",
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_METRICS_EXPORTER": "otlp",
                "OTEL_LOGS_EXPORTER": "otlp",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.sink.port}",
            }
        if side == OFFICIAL:
            app += [str(bin_directory / "opentelemetry-instrument")]
        elif side == CARAFE:
            app = ["taskset", "-c", LOAD_CORE, options.carafe, "run", "--", *app]
            if options.engine:
                app += ["env", f"PYTHONPATH={options.engine}:{HERE}"]
        started = time.monotonic()
        self.process = start(
            [*app, *command],
            options.nice,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages,
            env=environment,
        )
        self._started = started
        self.start_ms = 0.0

    def started(self) -> None:
        """Notes that the program is up."""
        self.start_ms = (time.monotonic() - self._started) * 1e3
        self.app_pid = self.process.pid
        if self.side == CARAFE:
            (self.app_pid,) = children(self.process.pid)

    def app_cpu_ns(self) -> int:
        return sum(cpu_ns(pid) for pid in tree(self.app_pid))

    def launcher_cpu_ns(self) -> int:
        return cpu_ns(self.process.pid) if self.side == CARAFE else 0

    def settle(self) -> None:
        """Waits until neither the app nor its launcher works any more."""
        deadline = time.monotonic() + SETTLE_DEADLINE_S
        before = -1
        while time.monotonic() < deadline:
            now = self.app_cpu_ns() + self.launcher_cpu_ns()
            if now - before < 500_000 and before >= 0:
                return
            before = now
            time.sleep(0.1)

    def rss_mib(self) -> float:
        """Of the process that serves: the last of the tree."""
        return status(tree(self.app_pid)[-1], "VmRSS") / 1024

    def threads(self) -> int:
        return status(tree(self.app_pid)[-1], "Threads")

    def launcher_rss_mib(self) -> float:
        return status(self.process.pid, "VmRSS") / 1024

    def messages(self) -> str:
        self._messages.flush()
        return (Path(self._directory.name) / "stderr").read_text(errors="replace")

    def fail(self, what: str) -> RuntimeError:
        return RuntimeError(f"{self.side}: {what}\n{self.messages()[-3000:]}")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.sink:
            self.sink.stop()
        for line in self.messages().splitlines():
            if self.side == CARAFE and any(
                word in line for word in ("dropped", "disabled", "lost")
            ):
                print(f"  launcher: {line}")
        self._messages.close()
        self._directory.cleanup()


class WorkerProgram(Program):
    """`worker.py` under one side: takes orders."""

    def __init__(self, side: str, options) -> None:
        super().__init__(side, [sys.executable, str(HERE / "worker.py")], options)
        self._answer()
        self.started()

    def _answer(self) -> dict:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise self.fail("the worker has ended")
        return json.loads(line)

    def order(self, **order) -> dict:
        assert self.process.stdin
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self.fail("the worker has ended") from None
        return self._answer()


class ServerProgram(Program):
    """A server under one side."""

    def __init__(self, side: str, command: list[str], options) -> None:
        self.port = free_port()
        words = [word.replace("{port}", str(self.port)) for word in command]
        super().__init__(side, words, options)
        deadline = time.monotonic() + START_DEADLINE_S
        while not machine.answers(self.port):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise self.fail("the server does not answer")
            time.sleep(0.002)
        self.started()
