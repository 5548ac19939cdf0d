"""Reads what `carafe gen` says at its end."""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Summary:
    #: Spans that were accepted for the first time, duplicates not counted.
    spans: int
    seconds: float
    megabytes: float
    #: Items of all signals that were rejected one by one, or whose request was refused.
    lost: int
    retries: int
    p50_ms: float
    p99_ms: float
    cpu_s: float

    @property
    def per_second(self):
        return self.spans / self.seconds


def number(pattern, said):
    found = re.search(pattern, said, re.MULTILINE)
    if not found:
        raise ValueError(f"carafe gen did not say {pattern!r}: {said}")
    return float(found.group(1))


def parse(said):
    lost = re.findall(r"^\s+(\d+) (?:rejected|refused)$", said, re.MULTILINE)
    return Summary(
        spans=int(number(r"^spans\s+(\d+) accepted", said)),
        seconds=number(r"^time\s+([\d.]+) s;", said),
        megabytes=number(r"^bytes\s+([\d.]+) MB", said),
        lost=sum(map(int, lost)),
        retries=int(number(r"(\d+) retries$", said)),
        p50_ms=number(r"p50 ([\d.]+) ms", said),
        p99_ms=number(r"p99 ([\d.]+) ms", said),
        cpu_s=number(r"^CPU\s+([\d.]+) s", said),
    )
