"""Ended spans and their events, as exporters read them."""

from abc import ABC, abstractmethod
from json import dumps, loads
from time import time_ns
from types import MappingProxyType

from opentelemetry import trace as trace_api
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util import BoundedList, deprecated, ns_to_iso_str
from opentelemetry.sdk.util.instrumentation import InstrumentationInfo
from opentelemetry.trace.status import Status, StatusCode


class EventBase(ABC):
    """Something that happened at a time (nanoseconds of Unix time; now, if not given)."""

    def __init__(self, name, timestamp=None):
        self._name = name
        self._timestamp = time_ns() if timestamp is None else timestamp

    name = property(lambda self: self._name)
    timestamp = property(lambda self: self._timestamp)

    @property
    @abstractmethod
    def attributes(self):
        """What it carries."""


class Event(EventBase):
    """An event of a span, with attributes. Immutable."""

    def __init__(self, name, attributes=None, timestamp=None, limit=None):
        super().__init__(name, timestamp)
        self._attributes = attributes

    attributes = property(lambda self: self._attributes)

    @property
    def dropped_attributes(self):
        return _dropped(self._attributes)


def _dropped(bounded):
    """What a bounded collection had to drop; nothing, if it has no bound."""
    return bounded.dropped if isinstance(bounded, (BoundedAttributes, BoundedList)) else 0


def _info_of(scope):
    """The scope in the older form, without the warning that making one gives."""
    if scope is None:
        return None
    info = InstrumentationInfo.__new__(InstrumentationInfo)
    info._name, info._version, info._schema_url = scope.name, scope.version, scope.schema_url
    return info


class ReadableSpan(ABC):
    """A span to be read. Tracers make them; times are nanoseconds of Unix time.

    An abstract base class, so that native spans can count as instances.
    """

    def __init__(
        self,
        name,
        context=None,
        parent=None,
        resource=None,
        attributes=None,
        events=(),
        links=(),
        kind=trace_api.SpanKind.INTERNAL,
        instrumentation_info=None,
        status=Status(StatusCode.UNSET),
        start_time=None,
        end_time=None,
        instrumentation_scope=None,
    ):
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._resource = Resource.create({}) if resource is None else resource
        self._attributes = attributes
        self._events = events
        self._links = links
        self._status = status
        self._start_time = start_time
        self._end_time = end_time
        self._instrumentation_info = instrumentation_info
        self._instrumentation_scope = instrumentation_scope

    name = property(lambda self: self._name)
    context = property(lambda self: self._context)
    parent = property(lambda self: self._parent)
    kind = property(lambda self: self._kind)
    resource = property(lambda self: self._resource)
    status = property(lambda self: self._status)
    start_time = property(lambda self: self._start_time)
    end_time = property(lambda self: self._end_time)
    instrumentation_scope = property(lambda self: self._instrumentation_scope)
    attributes = property(lambda self: MappingProxyType(self._attributes or {}))
    events = property(lambda self: tuple(self._events))
    links = property(lambda self: tuple(self._links))
    dropped_attributes = property(lambda self: _dropped(self._attributes))
    dropped_events = property(lambda self: _dropped(self._events))
    dropped_links = property(lambda self: _dropped(self._links))

    def get_span_context(self):
        return self._context

    @property
    @deprecated("You should use instrumentation_scope. Deprecated since version 1.11.1.")
    def instrumentation_info(self):
        return self._instrumentation_info or _info_of(self._instrumentation_scope)

    def to_json(self, indent=4):
        return _span_to_json(self, indent)

    @staticmethod
    def _format_context(context):
        return _context_to_json(context)

    @staticmethod
    def _format_attributes(attributes):
        return _attributes_to_json(attributes)

    @staticmethod
    def _format_events(events):
        return _events_to_json(events)

    @staticmethod
    def _format_links(links):
        return _links_to_json(links)


def _span_to_json(span, indent=4):
    """The span as the console exporter prints it. Of any span: it reads public names only."""
    status = {"status_code": span.status.status_code.name}
    if span.status.description:
        status["description"] = span.status.description
    fields = {
        "name": span.name,
        "context": _context_to_json(span.context) if span.context else None,
        "kind": str(span.kind),
        "parent_id": None
        if span.parent is None
        else "0x" + trace_api.format_span_id(span.parent.span_id),
        "start_time": ns_to_iso_str(span.start_time) if span.start_time else None,
        "end_time": ns_to_iso_str(span.end_time) if span.end_time else None,
        "status": status,
        "attributes": _attributes_to_json(span.attributes),
        "events": _events_to_json(span.events),
        "links": _links_to_json(span.links),
        "resource": loads(span.resource.to_json()),
    }
    return dumps(fields, indent=indent)


def _context_to_json(context):
    return {
        "trace_id": "0x" + trace_api.format_trace_id(context.trace_id),
        "span_id": "0x" + trace_api.format_span_id(context.span_id),
        "trace_state": repr(context.trace_state),
    }


def _attributes_to_json(attributes):
    return None if attributes is None else dict(attributes)


def _events_to_json(events):
    return [
        {
            "name": event.name,
            "timestamp": ns_to_iso_str(event.timestamp),
            "attributes": _attributes_to_json(event.attributes),
        }
        for event in events
    ]


def _links_to_json(links):
    return [
        {
            "context": _context_to_json(link.context),
            "attributes": _attributes_to_json(link.attributes),
        }
        for link in links
    ]
