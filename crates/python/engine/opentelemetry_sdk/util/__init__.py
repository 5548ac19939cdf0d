"""Small containers and conversions that the three signals share."""

import datetime
from collections import deque
from collections.abc import MutableMapping, Sequence
from copy import deepcopy
from threading import Lock

try:
    from typing_extensions import deprecated
except ImportError:  # an API too old to bring it: nothing is marked

    def deprecated(_message):
        return lambda marked: marked


def ns_to_iso_str(nanoseconds):
    """A Unix time in nanoseconds as ISO 8601 in UTC, with microseconds."""
    moment = datetime.datetime.fromtimestamp(nanoseconds / 1e9, tz=datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def get_dict_as_key(labels):
    """The labels as a hashable key that does not depend on their order."""
    return tuple(
        sorted(
            (key, tuple(value) if isinstance(value, list) else value)
            for key, value in labels.items()
        )
    )


class BoundedList(Sequence):
    """A list of at most `maxlen` items (None: any number) that keeps the newest.

    `dropped` counts what had to make room.
    """

    def __init__(self, maxlen):
        self.dropped = 0
        self._dq = deque(maxlen=maxlen)
        self._lock = Lock()

    @classmethod
    def from_seq(cls, maxlen, seq):
        bounded = cls(maxlen)
        bounded.extend(tuple(seq))
        return bounded

    def append(self, item):
        self.extend((item,))

    def extend(self, seq):
        with self._lock:
            limit = self._dq.maxlen
            if limit is not None:
                self.dropped += max(0, len(self._dq) + len(seq) - limit)
            self._dq.extend(seq)

    def __getitem__(self, index):
        return self._dq[index]

    def __len__(self):
        return len(self._dq)

    def __iter__(self):
        with self._lock:
            return iter(tuple(self._dq))

    def __repr__(self):
        return "{}({}, maxlen={})".format(type(self).__name__, list(self._dq), self._dq.maxlen)

    def __deepcopy__(self, memo):
        twin = BoundedList(self._dq.maxlen)
        memo[id(self)] = twin
        with self._lock:
            twin.dropped = self.dropped
            twin._dq = deepcopy(self._dq, memo)
        return twin


@deprecated("BoundedDict is deprecated since version 1.4.0.")
class BoundedDict(MutableMapping):
    """A dict of at most `maxlen` keys (None: any number) that keeps the newest."""

    def __init__(self, maxlen):
        if maxlen is not None and (not isinstance(maxlen, int) or maxlen < 0):
            raise ValueError(
                "maxlen must be a non-negative integer or None, not {!r}".format(maxlen)
            )
        self.maxlen = maxlen
        self.dropped = 0
        self._dict = {}
        self._lock = Lock()

    @classmethod
    def from_map(cls, maxlen, mapping):
        bounded = cls(maxlen)
        for key, value in dict(mapping).items():
            bounded[key] = value
        return bounded

    def __setitem__(self, key, value):
        with self._lock:
            if self.maxlen == 0:
                self.dropped += 1
                return
            known = self._dict.pop(key, self) is not self
            if not known and self.maxlen is not None and len(self._dict) >= self.maxlen:
                del self._dict[next(iter(self._dict))]
                self.dropped += 1
            self._dict[key] = value

    def __getitem__(self, key):
        return self._dict[key]

    def __delitem__(self, key):
        del self._dict[key]

    def __iter__(self):
        with self._lock:
            return iter(tuple(self._dict))

    def __len__(self):
        return len(self._dict)

    def __repr__(self):
        return "{}({}, maxlen={})".format(type(self).__name__, self._dict, self.maxlen)
