"""Waits for the moment at which the store writes something: inotify over its data directory."""

import ctypes
import os
import pathlib
import select
import struct
import time

MODIFY, CREATE, DELETE, MOVED_TO = 0x2, 0x100, 0x200, 0x80
IS_DIRECTORY = 0x40000000
EVENT = struct.Struct("iIII")
BUFFER_BYTES = 1 << 16

libc = ctypes.CDLL(None, use_errno=True)


def moments(directory, path, mask):
    """What an event is a sign of, as names of moments at which to kill."""
    relative = path.relative_to(directory)
    top = relative.parts[0]
    if top == "files" and mask & (CREATE | MOVED_TO):
        return {"a file is written"}
    if top == "files" and mask & DELETE:
        return {"a file is removed"}
    if top == "log" and mask & (CREATE | DELETE):
        return {"a log segment comes or goes"}
    if top.startswith("catalog") and mask & (MODIFY | CREATE | DELETE):
        return {"the catalog commits"}
    return set()


class Watch:
    """Events of a directory and of all that are below it, later ones included."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self._inotify = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._inotify < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._paths = {}
        self._add(self.directory)

    def _add(self, directory):
        mask = MODIFY | CREATE | DELETE | MOVED_TO
        watch = libc.inotify_add_watch(self._inotify, os.fsencode(directory), mask)
        if watch < 0:
            return  # gone meanwhile
        self._paths[watch] = directory
        for entry in os.scandir(directory):
            if entry.is_dir(follow_symlinks=False):
                self._add(pathlib.Path(entry.path))

    def wait(self, moment, skip, deadline):
        """Whether the moment came, so many of them skipped, before the deadline."""
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._inotify], [], [], left)[0]:
                return False
            events = os.read(self._inotify, BUFFER_BYTES)
            offset = 0
            while offset < len(events):
                watch, mask, _, length = EVENT.unpack_from(events, offset)
                offset += EVENT.size
                name = events[offset : offset + length].rstrip(b"\0")
                offset += length
                if watch not in self._paths or not name:
                    continue
                path = self._paths[watch] / os.fsdecode(name)
                if mask & IS_DIRECTORY:
                    if mask & CREATE:
                        self._add(path)
                elif moment in moments(self.directory, path, mask):
                    skip -= 1
                    if skip < 0:
                        return True
        return False

    def close(self):
        os.close(self._inotify)
