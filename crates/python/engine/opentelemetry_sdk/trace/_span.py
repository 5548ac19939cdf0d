"""Spans of providers that the application makes itself.

The spans of the global provider are native and go to the ring; these stay in
the process, for the processors of their provider.
"""

import logging
import threading
from time import time_ns
from traceback import format_exception

from opentelemetry import trace as trace_api
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace.status import Status, StatusCode

from ._limits import _UnsetLimits
from ._processor import SpanProcessor
from ._readable import Event, ReadableSpan

logger = logging.getLogger("opentelemetry.sdk.trace")


def _is_valid_link(context, attributes):
    """An invalid context is worth a link only for the attributes or the trace state that come with it."""
    return bool(context and (context.is_valid or attributes or context.trace_state))


class Span(trace_api.Span, ReadableSpan):
    """A span that can be written to until it ends. Only tracers make one."""

    def __new__(cls, *args, **kwargs):
        if cls is Span:
            raise TypeError("Span must be instantiated via a tracer.")
        return super().__new__(cls)

    def __init__(
        self,
        name,
        context,
        parent=None,
        sampler=None,
        trace_config=None,
        resource=None,
        attributes=None,
        events=None,
        links=(),
        kind=trace_api.SpanKind.INTERNAL,
        span_processor=SpanProcessor(),
        instrumentation_info=None,
        record_exception=True,
        set_status_on_exception=True,
        limits=_UnsetLimits,
        instrumentation_scope=None,
        *,
        record_end_metrics=None,
    ):
        super().__init__(
            name,
            context,
            parent,
            resource,
            kind=kind,
            instrumentation_info=instrumentation_info,
            instrumentation_scope=instrumentation_scope,
        )
        self._sampler = sampler
        self._trace_config = trace_config
        self._span_processor = span_processor
        self._record_exception = record_exception
        self._set_status_on_exception = set_status_on_exception
        self._record_end_metrics = record_end_metrics
        self._limits = limits
        self._lock = threading.Lock()
        self._attributes = BoundedAttributes(
            limits.max_span_attributes,
            attributes,
            immutable=False,
            max_value_len=limits.max_span_attribute_length,
        )
        self._events = BoundedList.from_seq(
            limits.max_events,
            (self._limited_event(e.name, e.attributes, e.timestamp) for e in events or ()),
        )
        self._links = BoundedList.from_seq(
            limits.max_links,
            (
                self._limited_link(link.context, link.attributes)
                for link in links or ()
                if link and _is_valid_link(link.context, link.attributes)
            ),
        )

    def __repr__(self):
        return '{}(name="{}", context={})'.format(type(self).__name__, self._name, self._context)

    def _limited_event(self, name, attributes, timestamp):
        limits = self._limits
        attributes = BoundedAttributes(
            limits.max_event_attributes,
            attributes,
            immutable=True,
            max_value_len=limits.max_attribute_length,
        )
        return Event(name, attributes, timestamp)

    def _limited_link(self, context, attributes):
        limits = self._limits
        attributes = BoundedAttributes(
            limits.max_link_attributes,
            attributes,
            immutable=True,
            max_value_len=limits.max_attribute_length,
        )
        return trace_api.Link(context, attributes)

    def get_span_context(self):
        return self._context

    def is_recording(self):
        return self._end_time is None

    def _write(self, what, change):
        """Makes the change, unless the span has ended: then it is logged."""
        with self._lock:
            if self._end_time is None:
                change()
                return
        logger.warning("%s: the span has ended.", what)

    def set_attribute(self, key, value):
        self._write("set_attribute", lambda: self._attributes.__setitem__(key, value))

    def set_attributes(self, attributes):
        self._write("set_attributes", lambda: _set_all(self._attributes, attributes))

    def add_event(self, name, attributes=None, timestamp=None):
        self._add_event(self._limited_event(name, attributes, timestamp))

    def _add_event(self, event):
        self._write("add_event", lambda: self._events.append(event))

    def add_link(self, context, attributes=None):
        if _is_valid_link(context, attributes):
            self._add_link(self._limited_link(context, attributes))

    def _add_link(self, link):
        self._write("add_link", lambda: self._links.append(link))

    def update_name(self, name):
        self._write("update_name", lambda: setattr(self, "_name", name))

    def set_status(self, status, description=None):
        self._write("set_status", lambda: self._set_status(status, description))

    def _set_status(self, status, description):
        if isinstance(status, StatusCode):
            status = Status(status, description)
        elif not isinstance(status, Status):
            return
        elif description is not None:
            logger.warning(
                "Description %s ignored. Use either `Status` or `(StatusCode, Description)`",
                description,
            )
        # OK is final, and UNSET takes nothing back.
        if (
            self._status.status_code is not StatusCode.OK
            and status.status_code is not StatusCode.UNSET
        ):
            self._status = status

    def record_exception(self, exception, attributes=None, timestamp=None, escaped=False):
        kind = type(exception)
        module = kind.__module__
        fields = {
            "exception.type": kind.__qualname__
            if module in (None, "", "builtins")
            else module + "." + kind.__qualname__,
            "exception.message": str(exception),
            "exception.stacktrace": "".join(
                format_exception(kind, exception, exception.__traceback__)
            ),
            "exception.escaped": str(escaped),
        }
        fields.update(attributes or {})
        self.add_event("exception", fields, timestamp)

    def start(self, start_time=None, parent_context=None):
        with self._lock:
            if self._start_time is not None:
                logger.warning("Calling start() on a started span.")
                return
            self._start_time = time_ns() if start_time is None else start_time
        self._span_processor.on_start(self, parent_context=parent_context)

    def end(self, end_time=None):
        with self._lock:
            if self._start_time is None:
                raise RuntimeError("Calling end() on a not started span.")
            if self._end_time is not None:
                logger.warning("Calling end() on an ended span.")
                return
            self._end_time = time_ns() if end_time is None else end_time
            self._attributes._immutable = True
        if self._record_end_metrics:
            self._record_end_metrics()
        self._span_processor._on_ending(self)
        self._span_processor.on_end(self._readable_span())

    def _readable_span(self):
        return ReadableSpan(
            self._name,
            self._context,
            self._parent,
            self._resource,
            self._attributes,
            self._events,
            self._links,
            self._kind,
            self._instrumentation_info,
            self._status,
            self._start_time,
            self._end_time,
            self._instrumentation_scope,
        )

    def __exit__(self, exc_type, exc_val, exc_tb):
        if exc_val is not None and self.is_recording():
            if self._record_exception:
                self.record_exception(exc_val, escaped=True)
            if self._set_status_on_exception:
                self.set_status(
                    Status(StatusCode.ERROR, "{}: {}".format(type(exc_val).__name__, exc_val))
                )
        super().__exit__(exc_type, exc_val, exc_tb)


def _set_all(bounded, attributes):
    # Takes the lock once, where the API's collection can.
    set_items = getattr(bounded, "_set_items", None)
    if set_items is not None:
        set_items(attributes)
    else:
        for key, value in attributes.items():
            bounded[key] = value


class _Span(Span):
    """What tracers make: `Span` itself refuses to be made."""
