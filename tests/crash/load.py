"""`carafe gen`: the load, and the judge of what is there afterwards."""

import pathlib
import shutil
import subprocess

from backend import Fault, environment
from summary import parse

CHECK_DEADLINE_S = 300
#: Compared in every attribute; that they are there is checked for all.
CHECKED_TRACES = 50
END_DEADLINE_S = 120
#: Longer than any server here is away or full.
RETRY_FOR = "10m"
#: Of every kind of trouble that clients make.
UNRULY = ["--late", "0.02", "--duplicate", "0.05", "--skew", "0.02"]


class Load:
    """A generator that writes down what was acknowledged, and retries while nobody answers."""

    def __init__(self, backend, directory, name, seed, *recipe, rate=0):
        self.backend = backend
        self.acks = pathlib.Path(directory) / f"{name}.acks"
        self._log = pathlib.Path(directory) / f"{name}.stderr"
        command = [backend.carafe, "gen", "--seed", str(seed), *recipe, "--acks", str(self.acks)]
        command += ["--protocol", "http/protobuf", "--endpoint", backend.otlp_url]
        command += ["--rate", str(rate), "--connections", "4", "--retry-for", RETRY_FOR]
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
            )

    def runs(self):
        return self.process.poll() is None

    def summary(self, deadline_s=END_DEADLINE_S):
        """Waits until it has sent everything; what it says then."""
        try:
            status = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.abandon()
            raise Fault(
                f"carafe gen was not done within {deadline_s} s: {self._said()[-700:]}"
            ) from None
        if status:
            raise Fault(f"carafe gen ended with {status}: {self._said()}")
        return parse(self._said())

    def _said(self):
        return self._log.read_text(errors="replace")[-6000:]

    def abandon(self):
        if self.runs():
            self.process.kill()
            self.process.wait()

    def acknowledged(self):
        """How many requests, by the lines of the file after its head."""
        lines = self.acks.read_bytes().count(b"\n") if self.acks.exists() else 0
        return max(0, lines - 1)

    def check(self):
        """Compares what is stored with what was acknowledged so far."""
        copy = self.acks.with_suffix(".copy")
        shutil.copyfile(self.acks, copy)
        command = [self.backend.carafe, "gen", "--check", self.backend.query_url]
        command += ["--acks", str(copy), "--check-traces", str(CHECKED_TRACES)]
        try:
            ended = subprocess.run(
                command,
                capture_output=True,
                text=True,
                env=environment(),
                timeout=CHECK_DEADLINE_S,
            )
        except subprocess.TimeoutExpired:
            raise Fault(f"the check was not done within {CHECK_DEADLINE_S} s") from None
        return ended.returncode, ended.stdout + ended.stderr

    def must_hold(self, when):
        status, said = self.check()
        if status:
            raise Fault(f"{when}: acknowledged data is not there once: {said[-6000:]}")
