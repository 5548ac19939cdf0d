"""Damaged files: each is named, the rest is served, and nothing that is served is wrong."""

import pathlib
import random
import shutil

from backend import Backend, Fault
from contents import Contents
from load import Load

#: Enough for several files, and then some that are only in the log of a killed server.
LOADS = {"first": 24_000, "second": 4_000}
HOURS = 6
BLOCK_BYTES = 4096
KINDS = {
    "Parquet file": ("files", "*.parquet"),
    "side file": ("files", "*.idx"),
    "log segment": ("log", "*.log"),
    "catalog": (".", "catalog.sqlite"),
}
WAYS = ["a bit flipped", "cut short", "a block of zeros", "emptied"]


def run(options):
    seed = options.seed
    place = pathlib.Path(options.directory) / "damage"
    place.mkdir()
    try:
        contents = fill(options, place, seed)
        for index in range(options.damages):
            print(one(options, place, contents, seed + index), flush=True)
    except Fault as fault:
        print(f"damage, seed {seed}: {fault}")
        return 1
    finally:
        shutil.rmtree(place)
    return 0


def fill(options, place, seed):
    """A store with files of both kinds, a log with frames in it and a catalog; what it tells."""
    backend = Backend(options.carafe, place)
    loads = []
    try:
        backend.start()
        for index, (name, spans) in enumerate(LOADS.items()):
            days = ["--days", str(HOURS / 24)]
            loads.append(Load(backend, place, name, seed + index, "--spans", str(spans), *days))
            loads[-1].summary()
            loads[-1].must_hold("before any damage")
            if index == 0:  # everything into files
                backend.stop()
                backend.start()
        contents = Contents(backend, HOURS + 1)
        if any(contents.missing_from(backend)):
            raise Fault("the same questions have other answers without any damage")
        backend.kill()
    finally:
        for load in loads:
            load.abandon()
        backend.abandon()
    print(f"damage: {contents.spans:,} spans, {contents.logs.total():,} log records to lose")
    return contents


def one(options, place, contents, seed):
    """Damages one file of a copy; gives a line about what came of it."""
    seeded = random.Random(seed)
    kind = seeded.choice(list(KINDS))
    way = seeded.choice(WAYS)
    copy = place / "copy"
    shutil.copytree(place / "data", copy / "data")
    try:
        folder, pattern = KINDS[kind]
        files = sorted(path for path in (copy / "data" / folder).rglob(pattern))
        if not files:
            raise Fault(f"the store has no {kind}")
        file = seeded.choice(files)
        size = file.stat().st_size
        where = harm(file, way, seeded)
        # The end of a log that does not read is what a write under way leaves: never acknowledged.
        is_torn = kind == "log segment" and (way in ("cut short", "emptied") or where > size // 2)
        outcome = judge(options, copy, contents, file, kind, is_torn)
        return f"seed {seed}: {kind}, {way} at {where}: {outcome}"
    except Fault as fault:
        raise Fault(f"seed {seed}: {kind}, {way}: {fault}") from None
    finally:
        shutil.rmtree(copy)


def harm(file, way, seeded):
    content = bytearray(file.read_bytes())
    if way == "emptied":
        file.write_bytes(b"")
        return 0
    where = seeded.randrange(len(content))
    if way == "a bit flipped":
        content[where] ^= 1 << seeded.randrange(8)
    elif way == "cut short":
        del content[where:]
    else:
        end = min(len(content), where + BLOCK_BYTES)
        content[where:end] = bytes(end - where)
    file.write_bytes(content)
    return where


def judge(options, copy, contents, file, kind, is_torn):
    backend = Backend(options.carafe, copy)
    try:
        return judge_running(backend, contents, file, kind, is_torn)
    finally:
        backend.abandon()


def judge_running(backend, contents, file, kind, is_torn):
    try:
        backend.start()
    except Fault as fault:
        # Without its catalog a store cannot know what belongs to it; everything else is served.
        if kind == "catalog" and "catalog" in str(fault) and "panicked" not in str(fault):
            return "refused to start, named"
        raise
    spans, logs = contents.missing_from(backend)
    backend.stop()
    messages = backend.messages()
    _, said = backend.verify()
    if "panicked" in messages + said:
        raise Fault(f"a panic: {messages}{said}")
    named = file.stem in messages + said
    if (spans or logs) and not named and not is_torn:
        raise Fault(f"{spans} spans and {logs} logs are gone, {file.name} is not named: {messages}")
    if spans == contents.spans or logs == contents.logs.total():
        raise Fault(f"one {kind} took everything along: {messages}")
    lost = f"{spans:,} spans and {logs:,} log records not served"
    return f"{'named' if named else 'not noticed'}, {lost if spans or logs else 'all served'}"
