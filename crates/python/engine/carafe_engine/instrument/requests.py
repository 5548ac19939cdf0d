"""requests: one span for each `Session.send`, redirects included."""

from carafe_engine import _native
from carafe_engine.instrument.patches import Patches

_client = _native.HttpClient("requests")
_patches = Patches()


def instrument(module):
    """`module` is `requests.sessions`."""
    _patches.wrap(module.Session, "send", _send)


def uninstrument():
    _client.stop()
    _patches.undo()


def _send(original):
    begin = _client.begin_requests

    def send(self, request, **kwargs):
        call = begin(request)
        if call is None:
            return original(self, request, **kwargs)
        try:
            response = original(self, request, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        call.end(response)
        return response

    return send
