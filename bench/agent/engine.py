"""CPU time inside the agent's own code, by sampling: free of the noise of the whole app's."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from processes import start

OBJECT = "libcarafe_preload.so"
SAMPLES_PER_SECOND = "4999"


def is_possible() -> bool:
    return shutil.which("perf") is not None


class Sampling:
    """Samples a process until `share` is asked for."""

    def __init__(self, pid: int, nice: int | None) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._data = str(Path(self._directory.name) / "perf.data")
        command = ["perf", "record", "--quiet", "-e", "cpu-clock", "-F", SAMPLES_PER_SECOND]
        command += ["-p", str(pid), "-o", self._data]
        self._process = start(command, nice, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def share(self) -> float | None:
        """The engine's part of the process' CPU time since the start, 0 to 1; None where perf
        got too little of the processor to take samples."""
        self._process.terminate()
        self._process.wait()
        command = ["perf", "report", "-i", self._data, "--stdio", "--sort", "dso"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self._directory.cleanup()
        for line in output.splitlines():
            words = line.split()
            if len(words) == 2 and words[1] == OBJECT:
                return float(words[0].rstrip("%")) / 100
        return None
