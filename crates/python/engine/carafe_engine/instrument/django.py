"""Django: its handlers are instrumented, those for WSGI, for ASGI and of the test client. No setting
is touched: what would be a middleware sits around all of them.
"""

import os
import sys

from carafe_engine import _native
from carafe_engine.instrument import wsgi  # noqa: F401 - propagators of responses
from carafe_engine.instrument.patches import Patches

_patches = Patches()

# Attributes of requests that the user wants on spans.
_TRACED = [
    name.strip()
    for name in os.environ.get("OTEL_PYTHON_DJANGO_TRACED_REQUEST_ATTRS", "").split(",")
    if name.strip()
]


def instrument(module):
    """Instruments `django.core.handlers.base.BaseHandler`; returns why not, where it does not."""
    if os.environ.get("OTEL_PYTHON_DJANGO_INSTRUMENT") == "False":
        return "OTEL_PYTHON_DJANGO_INSTRUMENT is False"
    _native.yield_universal(1)
    _patches.wrap(module.BaseHandler, "get_response", _get_response)
    _patches.wrap(module.BaseHandler, "get_response_async", _get_response_async)
    _patches.wrap(module.BaseHandler, "process_exception_by_middleware", _process_exception)
    return None


def uninstrument():
    """Django as it was."""
    _patches.undo()


def _get_response(original):
    def get_response(self, request):
        served = _begin(request)
        if served is None:
            return original(self, request)
        try:
            response = original(self, request)
        except BaseException as error:
            served.fail(error)
            raise
        _end(served, request, response)
        return response

    return get_response


def _get_response_async(original):
    async def get_response_async(self, request):
        served = _begin(request)
        if served is None:
            response = await original(self, request)
            _native.routed_by_django(
                getattr(request, "scope", None), getattr(request, "resolver_match", None)
            )
            return response
        try:
            response = await original(self, request)
        except BaseException as error:
            served.fail(error)
            raise
        _end(served, request, response)
        return response

    return get_response_async


def _process_exception(original):
    def process_exception_by_middleware(self, exception, request):
        response = None
        try:
            # Without an answer, Django returns nothing, and before 3.1 raises the exception.
            response = original(self, exception, request)
        finally:
            if not response:
                _native.failed_in_app(request.META, exception)
        return response

    return process_exception_by_middleware


def _begin(request):
    found = None
    if _native.are_spans_observed():
        # Samplers and processors in Python want to see the span's name.
        found = _look_up(request)
    served = _native.begin_django(request, found)
    if served is not None and _TRACED:
        _trace_attributes(served.span, request)
    return served


def _end(served, request, response):
    found = getattr(request, "resolver_match", None)
    looked_up = None
    if found is None:
        # A middleware has answered, or no route was found.
        looked_up = _look_up(request)
    _native.end_django(served, response, found, looked_up)


def _look_up(request):
    """The route of a request that has not been looked for; None where there is none."""
    try:
        return sys.modules["django.urls"].resolve(request.path_info)
    except Exception:
        return None


def _trace_attributes(span, request):
    if span is None:
        return
    for name in _TRACED:
        try:
            value = _header(request, name)
            if value is None:
                value = getattr(request, name, None)
            if value is not None:
                span.set_attribute(name, str(value))
        except Exception as error:
            _native.fault("attributes of a request", error)


def _header(request, wanted):
    """A header of an ASGI request; of those of the same name the last."""
    found = None
    for name, value in getattr(request, "scope", {}).get("headers", ()):
        if name.decode("latin-1") == wanted:
            found = value.decode("latin-1")
    return found
