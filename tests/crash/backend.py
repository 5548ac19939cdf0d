"""`carafe up` on a data directory: started, killed, asked."""

import os
import pathlib
import signal
import socket
import subprocess
import time

START_DEADLINE_S = 60
STOP_DEADLINE_S = 60
POLL_S = 0.002

#: So that flushes, compactions and retention happen all the time.
OFTEN = {
    "CARAFE_STORE_FLUSH_BYTES": "2000000",
    "CARAFE_STORE_FLUSH_SECONDS": "0.3",
    "CARAFE_STORE_MAINTENANCE_SECONDS": "0.3",
    "CARAFE_STORE_LOG_SEGMENT_BYTES": "1000000",
}


class Fault(Exception):
    """What must not happen."""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment():
    return {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}


class Backend:
    """One data directory on the same ports through all its lives, as its clients expect."""

    def __init__(self, carafe, directory, *flags, often=True, messages_in=None):
        self.carafe = carafe
        self.data = pathlib.Path(directory) / "data"
        self.flags = flags
        self.variables = OFTEN if often else {}
        self.query_port, self.otlp_port = free_port(), free_port()
        self.otlp_url = f"http://127.0.0.1:{self.otlp_port}"
        self.query_url = f"http://127.0.0.1:{self.query_port}"
        self.process = None
        self._log = pathlib.Path(messages_in or directory) / "up.stderr"
        self._life_offset = 0

    def spawn(self):
        """Starts it and does not wait."""
        self._life_offset = self._log.stat().st_size if self._log.exists() else 0
        command = [self.carafe, "up", "--data-dir", str(self.data)]
        command += ["--query", f"127.0.0.1:{self.query_port}", "--otlp-grpc", "127.0.0.1:0"]
        command += ["--otlp-http", f"127.0.0.1:{self.otlp_port}", "--telemetry", "127.0.0.1:0"]
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environment(), **self.variables},
            )

    def start(self):
        """Starts it and waits until it is ready; gives the seconds that took."""
        started = time.monotonic()
        self.spawn()
        while "ready" not in self.messages():
            if self.process.poll() is not None:
                raise Fault(f"carafe up ended with {self.process.returncode}: {self.messages()}")
            if time.monotonic() - started > START_DEADLINE_S:
                raise Fault(f"not ready after {START_DEADLINE_S} s: {self.messages()}")
            time.sleep(POLL_S)
        return time.monotonic() - started

    def messages(self):
        """What this life has said."""
        with open(self._log, "rb") as log:
            log.seek(self._life_offset)
            return log.read().decode(errors="replace")

    def kill(self):
        """kill -9. A server that has ended by itself before is a fault."""
        if self.process.poll() is not None:
            raise Fault(f"carafe up had ended with {self.process.returncode}: {self.messages()}")
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends it in order."""
        self.process.terminate()
        try:
            status = self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Fault(f"did not stop within {STOP_DEADLINE_S} s: {self.messages()}") from None
        if status:
            raise Fault(f"carafe up ended with {status}: {self.messages()}")

    def abandon(self):
        """Whatever state it is in: it runs no more."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def verify(self):
        """`carafe store verify` of the stopped store: status and all it said."""
        command = [self.carafe, "store", "verify", "--data-dir", str(self.data)]
        ended = subprocess.run(command, capture_output=True, text=True, env=environment())
        return ended.returncode, ended.stdout + ended.stderr
