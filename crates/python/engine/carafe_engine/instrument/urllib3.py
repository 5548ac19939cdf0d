"""urllib3: one span for each `urlopen` of a pool, its retries and redirects included."""

from carafe_engine import _native
from carafe_engine.instrument.patches import Patches

_client = _native.HttpClient("urllib3")
_patches = Patches()


def instrument(module):
    """`module` is `urllib3.connectionpool`."""
    _patches.wrap(module.HTTPConnectionPool, "urlopen", _urlopen)


def uninstrument():
    _client.stop()
    _patches.undo()


def _urlopen(original):
    begin = _client.begin_urllib3

    def urlopen(self, method, url, body=None, headers=None, *args, **kwargs):
        call = begin(self, method, url, body, headers)
        if call is None:
            return original(self, method, url, body, headers, *args, **kwargs)
        try:
            response = original(self, method, url, body, call.sent, *args, **kwargs)
        except BaseException as error:
            call.fail(error)
            raise
        call.end(response)
        return response

    return urlopen
