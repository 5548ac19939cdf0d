"""Where trace and span ids come from."""

import random
from abc import ABC, abstractmethod

from opentelemetry import trace


class IdGenerator(ABC):
    """Makes ids. Neither may be zero."""

    @abstractmethod
    def generate_span_id(self):
        """64 bits."""

    @abstractmethod
    def generate_trace_id(self):
        """128 bits, the lowest 56 of them random if `is_trace_id_random` says so."""

    def is_trace_id_random(self):
        """Whether the `random-trace-id` flag of W3C Trace Context level 2 is true of these ids."""
        return False


class RandomIdGenerator(IdGenerator):
    """Ids of which every bit is random."""

    def generate_span_id(self):
        return _random_but(trace.INVALID_SPAN_ID, 64)

    def generate_trace_id(self):
        return _random_but(trace.INVALID_TRACE_ID, 128)

    def is_trace_id_random(self):
        return True


def _random_but(invalid, bits):
    while True:
        drawn = random.getrandbits(bits)
        if drawn != invalid:
            return drawn
