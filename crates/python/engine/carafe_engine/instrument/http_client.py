"""http.client: one span for each request that no library above it has a span for.

It lasts from the request line to the head of the response. It is not the current span in between:
the caller may do anything until then.
"""

from carafe_engine import _native
from carafe_engine.instrument.patches import Patches

_client = _native.HttpClient("http_client")
_patches = Patches()

# Where a connection keeps the call that is open on it.
_CALL = "_carafe_call"


def instrument(module):
    """`module` is `http.client`."""
    connection = module.HTTPConnection
    _patches.wrap(connection, "putrequest", _putrequest)
    _patches.wrap(connection, "endheaders", _endheaders)
    _patches.wrap(connection, "getresponse", _getresponse)


def uninstrument():
    _client.stop()
    _patches.undo()


def _putrequest(original):
    begin = _client.begin_http_client

    def putrequest(self, method, url, *args, **kwargs):
        original(self, method, url, *args, **kwargs)
        call = begin(self, method, url)
        state = self.__dict__
        if _CALL in state:
            # Nobody has asked for its response.
            state.pop(_CALL).end(None)
        if call is not None:
            state[_CALL] = call

    return putrequest


def _endheaders(original):
    def endheaders(self, *args, **kwargs):
        call = self.__dict__.get(_CALL)
        if call is None:
            return original(self, *args, **kwargs)
        try:
            for name, value in call.missing_headers(self):
                self.putheader(name, value)
            return original(self, *args, **kwargs)
        except BaseException as error:
            self.__dict__.pop(_CALL, None)
            call.fail(error)
            raise

    return endheaders


def _getresponse(original):
    def getresponse(self):
        call = self.__dict__.pop(_CALL, None)
        if call is None:
            return original(self)
        try:
            response = original(self)
        except BaseException as error:
            call.fail(error)
            raise
        call.end(response)
        return response

    return getresponse
