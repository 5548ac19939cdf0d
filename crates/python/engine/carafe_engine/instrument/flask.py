"""Flask: the class is instrumented, so every app of it is, and its subclasses'."""

import sys

from carafe_engine import _native
from carafe_engine.instrument import wsgi  # noqa: F401 - propagators of responses
from carafe_engine.instrument.patches import Patches

_patches = Patches()


def instrument(module):
    """Instruments `flask.app.Flask` and `flask.ctx.RequestContext`."""
    _native.yield_universal(1)
    _patches.wrap(module.Flask, "wsgi_app", _wsgi_app)
    _patches.wrap(module.Flask, "handle_exception", _handle_exception)
    context = sys.modules["flask.ctx"]
    owner = getattr(context, "RequestContext", None) or context.AppContext
    _patches.wrap(owner, "match_request", _match_request)


def uninstrument():
    """Flask as it was."""
    _patches.undo()


def _wsgi_app(original):
    begin = _native.begin_flask

    def wsgi_app(self, environ, start_response):
        request = begin(environ, start_response)
        if request is None:
            return original(self, environ, start_response)
        try:
            iterable = original(self, environ, request)
        except BaseException as error:
            request.fail(error)
            raise
        return request.done(iterable)

    return wsgi_app


def _match_request(original):
    routed = _native.routed_by_flask

    def match_request(self):
        original(self)
        routed(self.request)

    return match_request


def _handle_exception(original):
    def handle_exception(self, *args, **kwargs):
        # Older versions of Flask give the exception alone, newer ones a context before it.
        _note(self, kwargs["e"] if "e" in kwargs else args[-1] if args else None)
        return original(self, *args, **kwargs)

    return handle_exception


def _note(app, exception):
    """Puts an exception that no handler of the app wanted on the request's span."""
    try:
        if exception is not None and not app.should_ignore_error(exception):
            environ = sys.modules["flask.globals"].request.environ
            _native.failed_in_app(environ, exception)
    except Exception as error:
        # Also where the app overrides what is asked here: Flask will ask again.
        _native.fault("exception of a request", error)
