"""urllib.request: one span for each `OpenerDirector.open` of an HTTP URL, redirects included."""

from carafe_engine import _native
from carafe_engine.instrument.patches import Patches

_client = _native.HttpClient("urllib")
_patches = Patches()


def instrument(module):
    """`module` is `urllib.request`."""
    _patches.wrap(module.OpenerDirector, "open", _open)


def uninstrument():
    _client.stop()
    _patches.undo()


def _open(original):
    begin = _client.begin_urllib

    def open(self, fullurl, data=None, *args, **kwargs):
        call = begin(self, fullurl, data)
        if call is None:
            return original(self, fullurl, data, *args, **kwargs)
        try:
            response = original(self, call.sent, data, *args, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        call.end(response)
        return response

    return open
