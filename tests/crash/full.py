"""A disk that is full: refusals that can be retried, and recovery without a restart.

Runs in a mount namespace of its own, where it may mount a small file system.
"""

import os
import pathlib
import subprocess
import time

from backend import Backend, Fault
from load import Load

SIZE = "400m"
BALLAST_BYTES = 360 << 20
SPANS = 200_000
FULL_DEADLINE_S = 120
#: It stays full for so long after the first refusal, in which nothing may be acknowledged twice
#: or lost, and nothing may end.
HOLD_S = 5
POLL_S = 0.1


def run(options):
    if os.environ.get("CARAFE_CRASH_MOUNT") is None:
        return in_namespace(options)
    place = pathlib.Path(os.environ["CARAFE_CRASH_MOUNT"])
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "carafe-crash", str(place)]
    subprocess.run(mount, check=True)
    try:
        scenario(options, place)
    except Fault as fault:
        print(f"disk full, seed {options.seed}: {fault}")
        return 1
    return 0


def in_namespace(options):
    """This program again, where mounting is allowed and nobody else sees it."""
    allowed = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    if allowed.returncode:
        print(f"disk full: left out, cannot mount here ({allowed.stderr.strip()})")
        return 0
    place = pathlib.Path(options.directory) / "full"
    place.mkdir(exist_ok=True)
    again = ["unshare", "--mount", *options.again, "--only", "full"]
    return subprocess.run(again, env={**os.environ, "CARAFE_CRASH_MOUNT": str(place)}).returncode


def scenario(options, place):
    ballast = place / "ballast"
    ballast.write_bytes(bytes(BALLAST_BYTES))
    log_place = pathlib.Path(options.directory)
    backend = Backend(options.carafe, place, messages_in=log_place)
    load = None
    try:
        backend.start()
        pid = backend.process.pid
        load = Load(backend, log_place, "full", options.seed, "--spans", str(SPANS))
        wait_until_full(place, load)
        before = load.acknowledged()
        hold_until = time.monotonic() + HOLD_S
        while time.monotonic() < hold_until:
            if backend.process.poll() is not None:
                raise Fault(f"ended on a full disk: {backend.messages()}")
            time.sleep(POLL_S)
        stuck = load.acknowledged() - before
        load.must_hold("on a full disk")
        ballast.unlink()
        summary = load.summary()
        if backend.process.pid != pid or backend.process.poll() is not None:
            raise Fault("the server did not live through it")
        if not summary.retries:
            raise Fault("nothing was refused: the disk was never full")
        load.must_hold("with room again")
        backend.kill()
        backend.start()
        load.must_hold("after a kill")
        backend.stop()
        print(
            f"disk full: {summary.retries:,} refusals, {stuck} requests acknowledged in "
            f"{HOLD_S} s without room, then all {summary.spans:,} spans stored"
        )
    finally:
        if load:
            load.abandon()
        backend.abandon()


def wait_until_full(place, load):
    """Until nothing has been acknowledged for a second and there is hardly any room."""
    deadline = time.monotonic() + FULL_DEADLINE_S
    last, since = -1, time.monotonic()
    while True:
        now = load.acknowledged()
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > 1:
            return
        if not load.runs():
            raise Fault(f"everything fitted: {load.summary()}")
        if time.monotonic() > deadline:
            raise Fault("the disk does not get full")
        time.sleep(POLL_S)
