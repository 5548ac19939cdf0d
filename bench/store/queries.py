"""The questions: made from what the first server has stored, then put to every server alike."""

from __future__ import annotations

import http.client
import json
import random
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field

from servers import Server

LIMIT = 20
#: How many different questions of one kind are asked.
VARIANTS = 20
#: Windows of the time range in which traces are sampled, and how many in each.
SAMPLE_WINDOWS = 120
SAMPLE_LIMIT = 20
HOST_KEY = "http.host"
TIMEOUT_S = 120.0

TRACE = "trace by id"
SERVICE = "service, newest 20"
HOST_COMMON = "http.host, common value, newest 20"
HOST_RARE = "http.host, rare value, newest 20"
UNIQUE = "tag of one trace"
DURATION = "duration, slowest 1 %, newest 20"
RED = "RED of a service, whole range"
KINDS = [TRACE, SERVICE, HOST_COMMON, HOST_RARE, UNIQUE, DURATION, RED]


@dataclass(frozen=True)
class Question:
    kind: str
    service: str = ""
    trace_id: str = ""
    tag: tuple[str, str] | None = None
    min_duration_us: int = 0


@dataclass
class Questions:
    start_us: int
    end_us: int
    by_kind: dict[str, list[Question]] = field(default_factory=dict)

    def of(self, kind: str) -> list[Question]:
        return self.by_kind.get(kind, [])


@dataclass(frozen=True)
class Answer:
    seconds: float
    #: Traces, points of a series; -1 where the server failed.
    found: int
    trace_ids: frozenset[str] = frozenset()


def fetch(server: Server, url: str) -> tuple[int, bytes, float]:
    """One request on a new connection, as a page in a browser would make first."""
    parts = urllib.parse.urlsplit(url)
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", server.query_port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b"", time.perf_counter() - started
    finally:
        connection.close()
    return answer.status, body, time.perf_counter() - started


def jaeger_search(server: Server, question: Question, questions: Questions) -> str:
    parameters = {
        "service": question.service,
        "limit": LIMIT,
        "start": questions.start_us,
        "end": questions.end_us,
        "lookback": "custom",
    }
    if question.tag:
        parameters["tags"] = json.dumps(dict([question.tag]))
    if question.min_duration_us:
        parameters["minDuration"] = f"{question.min_duration_us}us"
    return server.url(f"{server.jaeger_path}/api/traces?{urllib.parse.urlencode(parameters)}")


def zipkin_search(server: Server, question: Question, questions: Questions) -> str:
    parameters = {
        "serviceName": question.service,
        "limit": LIMIT,
        "endTs": questions.end_us // 1000,
        "lookback": (questions.end_us - questions.start_us) // 1000,
    }
    if question.tag:
        parameters["annotationQuery"] = "=".join(question.tag)
    if question.min_duration_us:
        parameters["minDuration"] = question.min_duration_us
    return server.url(f"/api/v2/traces?{urllib.parse.urlencode(parameters)}")


def ask(server: Server, question: Question, questions: Questions) -> Answer | None:
    """None where the server does not have this kind of question."""
    if question.kind == RED:
        url = server.red_url(question.service, questions.start_us, questions.end_us)
        if url is None:
            return None
        status, body, seconds = fetch(server, url)
        return Answer(seconds, red_points(body) if status == 200 else -1)
    if server.jaeger_path is None:
        path = f"/api/v2/trace/{question.trace_id}"
        url = server.url(path) if question.trace_id else zipkin_search(server, question, questions)
    elif question.trace_id:
        url = server.url(f"{server.jaeger_path}/api/traces/{question.trace_id}")
    else:
        url = jaeger_search(server, question, questions)
    status, body, seconds = fetch(server, url)
    if status != 200:
        return Answer(seconds, -1)
    ids = trace_ids(body)
    return Answer(seconds, len(ids), ids)


def trace_ids(body: bytes) -> frozenset[str]:
    answer = json.loads(body)
    if isinstance(answer, dict):  # Jaeger
        return frozenset(trace["traceID"].zfill(32) for trace in answer["data"] or [])
    traces = [answer] if answer and isinstance(answer[0], dict) else answer  # Zipkin
    return frozenset(trace[0]["traceId"].zfill(32) for trace in traces)


def red_points(body: bytes) -> int:
    answer = json.loads(body)
    if "points" in answer:  # Carafe
        return len(answer["points"])
    series = answer["data"]["result"]
    return max((len(each["values"]) for each in series), default=0)


def sample(server: Server, start_us: int, end_us: int, seed: int) -> Questions:
    """Questions about what is stored in that time, sampled through Jaeger's API."""
    seeded = random.Random(seed)
    services = json.loads(fetch(server, server.url("/api/services"))[1])["data"]
    traces: dict[str, dict] = {}
    for _ in range(SAMPLE_WINDOWS):
        until = seeded.randint(start_us, end_us)
        parameters = urllib.parse.urlencode(
            {
                "service": seeded.choice(services),
                "start": max(start_us, until - (end_us - start_us) // SAMPLE_WINDOWS),
                "end": until,
                "limit": SAMPLE_LIMIT,
            }
        )
        body = fetch(server, server.url(f"/api/traces?{parameters}"))[1]
        traces |= {trace["traceID"]: trace for trace in json.loads(body)["data"] or []}
    if not traces:
        raise RuntimeError("the sample is empty: nothing was stored in that time")
    return questions_about(traces, start_us, end_us, seeded)


def questions_about(
    traces: dict[str, dict], start_us: int, end_us: int, seeded: random.Random
) -> Questions:
    hosts: Counter[tuple[str, str]] = Counter()
    tags: Counter[tuple[str, str, str]] = Counter()
    services: Counter[str] = Counter()
    durations: dict[str, list[int]] = {}
    for trace in traces.values():
        for span in trace["spans"]:
            service = trace["processes"][span["processID"]]["serviceName"]
            services[service] += 1
            durations.setdefault(service, []).append(span["duration"])
            for tag in span["tags"]:
                if tag["type"] == "string":
                    tags[service, tag["key"], tag["value"]] += 1
                    if tag["key"] == HOST_KEY:
                        hosts[service, tag["value"]] += 1
    questions = Questions(start_us, end_us)
    ids = seeded.sample(sorted(traces), min(VARIANTS, len(traces)))
    names = [name for name, _ in services.most_common(VARIANTS)]
    common = [pair for pair, _ in hosts.most_common(VARIANTS)][: max(1, len(hosts) // 4)]
    rare = [pair for pair, _ in hosts.most_common()[::-1][:VARIANTS]][: max(1, len(hosts) // 4)]
    # Values seen once in the sample under keys with hardly any value twice: ids and the like.
    per_key = Counter(key for _, key, _ in tags)
    total: Counter[str] = Counter()
    for (_, key, _), count in tags.items():
        total[key] += count
    unique = [
        each
        for each, count in sorted(tags.items())
        if count == 1 and per_key[each[1]] > 0.9 * total[each[1]] > 20
    ]
    unique = seeded.sample(unique, min(VARIANTS, len(unique)))
    slow = {name: sorted(durations[name])[-(len(durations[name]) // 100) - 1] for name in names}

    def hosted(kind: str, pairs: list[tuple[str, str]]) -> list[Question]:
        return [Question(kind, service, tag=(HOST_KEY, host)) for service, host in pairs]

    questions.by_kind = {
        TRACE: [Question(TRACE, trace_id=trace_id) for trace_id in ids],
        SERVICE: [Question(SERVICE, name) for name in names],
        HOST_COMMON: hosted(HOST_COMMON, common),
        HOST_RARE: hosted(HOST_RARE, rare),
        UNIQUE: [Question(UNIQUE, name, tag=(key, value)) for name, key, value in unique],
        DURATION: [Question(DURATION, n, min_duration_us=max(1, slow[n])) for n in names],
        RED: [Question(RED, name) for name in names],
    }
    return questions
