"""kill -9 at random points under load: what was acknowledged is there, once, every time."""

import collections
import pathlib
import random
import tempfile
import time

from backend import Backend, Fault
from load import UNRULY, Load
from watch import Watch

#: Kills of one data directory; then a new one.
KILLS_PER_STORE = 10
RATE = 2_000
#: More than a store's kills last; the generator is ended when they are done.
SPANS = 400_000

#: When to kill, and how often that is chosen.
MOMENTS = {
    "any time": 6,
    "a file is written": 4,
    "a file is removed": 3,
    "a log segment comes or goes": 2,
    "the catalog commits": 4,
    "while it starts": 3,
}
MOMENT_DEADLINE_S = 4.0
FIRST_DEADLINE_S = 30.0
POLL_S = 0.01
MAX_DELAY_S = 2.5
MAX_SKIP = 3
MAX_JITTER_S = 0.004
MAX_START_S = 0.25

#: With retention by size, old data of a second generator goes all the time, new data must not.
RETENTION = ["--retention-size", "24MB"]
OLD = ["--days", "6", "--spans", str(4 * SPANS)]


class Tally:
    def __init__(self):
        self.kills = collections.Counter()
        self.starts_s = []
        self.acknowledged = 0
        self.checks = 0


def run(options):
    """All stores until enough kills are done; prints a line for each."""
    tally = Tally()
    store = 0
    while (left := options.runs - tally.kills.total()) > 0:
        seed = options.seed + store
        kills = min(left, KILLS_PER_STORE)
        with_retention = store % 3 == 2
        with tempfile.TemporaryDirectory(prefix="carafe-crash-", dir=options.directory) as place:
            try:
                one_store(options, pathlib.Path(place), seed, kills, with_retention, tally)
            except Fault as fault:
                print(f"seed {seed}: {fault}")
                print(f"again: scripts/crash-suite --only kills --runs {kills} --seed {seed}")
                return 1
        print(
            f"seed {seed}: {kills} kills{', retention by size' if with_retention else ''}, "
            f"{tally.acknowledged:,} requests acknowledged so far, all there",
            flush=True,
        )
        store += 1
    starts = sorted(tally.starts_s)
    print(f"{tally.kills.total()} kills: " + ", ".join(f"{n} {m}" for m, n in tally.kills.items()))
    print(
        f"{tally.checks} checks; starts {starts[len(starts) // 2]:.2f} s, at most {starts[-1]:.2f}"
    )
    return 0


def one_store(options, place, seed, kills, with_retention, tally):
    seeded = random.Random(seed)
    flags = RETENTION if with_retention else []
    backend = Backend(options.carafe, place, *flags)
    loads = []
    try:
        backend.start()
        recipe = ["--spans", str(SPANS), *UNRULY]
        loads.append(Load(backend, place, "new", seed, *recipe, rate=RATE))
        if with_retention:
            loads.append(Load(backend, place, "old", seed + 1, *OLD, rate=2 * RATE))
        wait_for_acknowledgement(loads[0])
        for _ in range(kills):
            tally.kills[kill_at_random(backend, loads, seeded)] += 1
            tally.starts_s.append(backend.start())
            loads[0].must_hold("after a kill")
            tally.checks += 1
        tally.acknowledged += loads[0].acknowledged()
        for load in loads:
            load.abandon()
        backend.stop()
        status, said = backend.verify()
        if status:
            raise Fault(f"carafe store verify ended with {status}: {said}")
        backend.start()
        loads[0].must_hold("after a stop")
        backend.stop()
    finally:
        for load in loads:
            load.abandon()
        backend.abandon()


def wait_for_acknowledgement(load):
    deadline = time.monotonic() + FIRST_DEADLINE_S
    while not load.acknowledged():
        if not load.runs():
            raise Fault(f"carafe gen had ended: {load.summary()}")
        if time.monotonic() > deadline:
            raise Fault(f"nothing was acknowledged within {FIRST_DEADLINE_S} s")
        time.sleep(POLL_S)


def kill_at_random(backend, loads, seeded):
    """Kills the running server; gives the moment at which that was."""
    (moment,) = seeded.choices(list(MOMENTS), MOMENTS.values())
    skip = seeded.randint(0, MAX_SKIP)
    jitter = seeded.choice([0.0, seeded.uniform(0, MAX_JITTER_S)])
    delay = seeded.uniform(0, MAX_DELAY_S)
    start_delay = seeded.uniform(0, MAX_START_S)
    for load in loads:
        if not load.runs():
            load.summary()  # says why
            raise Fault("carafe gen had ended")
    if moment in ("any time", "while it starts"):
        time.sleep(delay)
    else:
        watch = Watch(backend.data)
        try:
            if not watch.wait(moment, skip, time.monotonic() + MOMENT_DEADLINE_S):
                moment = "any time"
        finally:
            watch.close()
        time.sleep(jitter)
    backend.kill()
    if moment == "while it starts":
        backend.spawn()
        time.sleep(start_delay)
        backend.kill()
    return moment
