"""All spans and log records that a server tells, as hashes, to compare before and after."""

import collections
import hashlib
import json
import time
import urllib.parse
import urllib.request

from backend import Fault

TIMEOUT_S = 60
#: The API's own limit of one search.
SEARCH_LIMIT = 1_500
TRACES_AT_ONCE = 50
#: A search that reaches the limit is divided; below this it cannot be.
SHORTEST_US = 1_000


def get(backend, path, parameters):
    url = f"{backend.query_url}{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            return json.load(answer)
    except OSError as error:
        raise Fault(f"{path} cannot be asked: {error}: {backend.messages()}") from None


def digest(item):
    return hashlib.blake2b(json.dumps(item, sort_keys=True).encode(), digest_size=12).digest()


def spans_of(traces, into):
    """Adds what each trace has: the digests of its spans, with the process each belongs to."""
    for trace in traces:
        processes = trace["processes"]
        into[trace["traceID"]] = collections.Counter(
            digest({**span, "processID": processes[span["processID"]]}) for span in trace["spans"]
        )


def trace_ids(backend, start_us, end_us):
    """Of every trace with a span in that time, searched in ever shorter times."""
    found = set()
    slices = [(start_us, end_us)]
    while slices:
        start, end = slices.pop()
        parameters = {"start": start, "end": end, "limit": SEARCH_LIMIT}
        traces = get(backend, "/api/carafe/v1/search", parameters)["traces"]
        found.update(trace["traceId"] for trace in traces)
        if len(traces) >= SEARCH_LIMIT and end - start > SHORTEST_US:
            middle = (start + end) // 2
            slices += [(start, middle), (middle, end)]
    return sorted(found)


def traces_by_id(backend, ids):
    found = {}
    for at in range(0, len(ids), TRACES_AT_ONCE):
        parameters = [("traceID", each) for each in ids[at : at + TRACES_AT_ONCE]]
        spans_of(get(backend, "/api/traces", [*parameters, ("raw", "true")])["data"], found)
    return found


def all_logs(backend, start_us, end_us):
    found = collections.Counter()
    slices = [(start_us, end_us)]
    while slices:
        start, end = slices.pop()
        parameters = {"start": start, "end": end, "limit": SEARCH_LIMIT}
        logs = get(backend, "/api/carafe/v1/logs", parameters)["logs"]
        if len(logs) >= SEARCH_LIMIT and end - start > SHORTEST_US:
            middle = (start + end) // 2
            slices += [(start, middle), (middle + 1, end)]
        else:
            found.update(digest(log) for log in logs)
    return found


class Contents:
    """What a sound store told, against which a damaged one is held."""

    def __init__(self, backend, hours):
        self.end_us = time.time_ns() // 1000 + 60_000_000
        self.start_us = self.end_us - int(hours * 3600e6)
        self.traces = traces_by_id(backend, trace_ids(backend, self.start_us, self.end_us))
        self.logs = all_logs(backend, self.start_us, self.end_us)
        self.spans = sum(each.total() for each in self.traces.values())

    def missing_from(self, backend):
        """How many spans and log records are gone. What is there must be what it was."""
        ids = sorted(self.traces)
        found = traces_by_id(backend, ids)
        wrong = set(found) - set(ids)
        for each, spans in found.items():
            if not wrong and spans - self.traces[each]:
                wrong.add(each)
        logs = all_logs(backend, self.start_us, self.end_us)
        if wrong:
            raise Fault(f"trace {min(wrong)} is not what it was")
        if logs - self.logs:
            raise Fault(f"{(logs - self.logs).total()} log records are not what they were")
        spans = self.spans - sum(each.total() for each in found.values())
        return spans, self.logs.total() - logs.total()
