"""Programs under measurement: starting and stopping them, and what they use."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

APP_CORE = "0"
LOAD_CORE = "1"

START_DEADLINE_S = 20.0
STOP_DEADLINE_S = 15.0
POLL_S = 0.0005


@dataclass(frozen=True)
class App:
    """A server that takes its port as `{port}` in its command."""

    name: str
    command: list[str]

    def on(self, port: int) -> list[str]:
        """The command on the app's core, its output thrown away."""
        command = [word.format(port=port) for word in self.command]
        return ["sh", "-c", 'exec taskset -c "$0" "$@" >/dev/null 2>&1', APP_CORE, *command]


def start(command: list[str], nice: int | None, **streams: object) -> subprocess.Popen[str]:
    """Starts a command in a session of its own. Linux shares the processor between sessions
    first (autogroup), so load, A and B each get a share that does not depend on the others."""
    streams.setdefault("stdin", subprocess.DEVNULL)
    process = subprocess.Popen(command, text=True, start_new_session=True, **streams)
    if nice is not None:
        Path(f"/proc/{process.pid}/autogroup").write_text(str(nice))
    return process


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process, ended ones included: its utime and stime, but in
    nanoseconds instead of ticks. The clock's number is what clock_getcpuclockid(3) gives."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def tree(pid: int) -> list[int]:
    return [pid, *(below for child in children(pid) for below in tree(child))]


def status(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise KeyError(key)


class Running:
    """One side: the app, alone or under `carafe run` (`carafe` is the binary then)."""

    def __init__(self, app: App, carafe: str | None, nice: int | None) -> None:
        self.port = free_port()
        self.telemetry = free_port() if carafe else None
        self._messages = tempfile.TemporaryFile("w+")
        command = app.on(self.port)
        if carafe:
            # The whole product: the launcher hosts receivers, store and UI too.
            hosted = ["--query", "127.0.0.1:0", "--otlp_grpc", "127.0.0.1:0"]
            hosted += ["--otlp_http", "127.0.0.1:0", "--telemetry", f"127.0.0.1:{self.telemetry}"]
            command = ["taskset", "-c", LOAD_CORE, carafe, "run", *hosted, "--", *command]
        started = time.monotonic()
        self.process = start(command, nice, stdout=subprocess.DEVNULL, stderr=self._messages)
        try:
            self._wait_for_answer(started + START_DEADLINE_S)
        except BaseException:
            self.process.kill()
            raise
        self.start_s = time.monotonic() - started
        # Under the launcher the app is its only child.
        (self.app_pid,) = children(self.process.pid) if carafe else (self.process.pid,)

    def _wait_for_answer(self, deadline: float) -> None:
        request = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    connection.sendall(request)
                    if b" 200 " in connection.recv(64):
                        return
            except OSError:
                pass
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"the app does not answer: {self.messages()}")
            time.sleep(POLL_S)

    def app_cpu_ns(self) -> int:
        return sum(cpu_ns(pid) for pid in tree(self.app_pid))

    def launcher_cpu_ns(self) -> int:
        return cpu_ns(self.process.pid) if self.telemetry else 0

    def rss_kib(self) -> int:
        return sum(status(pid, "VmRSS") for pid in tree(self.app_pid))

    def threads(self) -> int:
        return sum(status(pid, "Threads") for pid in tree(self.app_pid))

    def launcher_rss_kib(self) -> int:
        return status(self.process.pid, "VmRSS") if self.telemetry else 0

    def stored_spans(self) -> int:
        """Spans that the store has taken so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.telemetry}/metrics") as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith('otelcol_exporter_sent_spans{exporter="store"}'):
                    return int(float(line.split()[-1]))
        raise RuntimeError("the launcher does not say how many spans were stored")

    def messages(self) -> str:
        """What the launcher has said on stderr."""
        self._messages.seek(0)
        return self._messages.read()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def version(command: list[str]) -> str:
    output = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return output.splitlines()[0] if output else "unknown"


def cores() -> int:
    return len(os.sched_getaffinity(0))
