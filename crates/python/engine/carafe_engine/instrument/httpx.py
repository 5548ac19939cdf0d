"""httpx: one span for each request that a transport sends, so one for each hop of a redirect."""

from carafe_engine import _native
from carafe_engine.instrument.patches import Patches


class Transports:
    """The transports of a module: httpx, or httpx2 with the same interface."""

    def __init__(self):
        self._client = _native.HttpClient("httpx")
        self._patches = Patches()

    def instrument(self, module):
        """`module` is the package."""
        self._patches.wrap(module.HTTPTransport, "handle_request", self._sync)
        self._patches.wrap(module.AsyncHTTPTransport, "handle_async_request", self._async)

    def uninstrument(self):
        self._client.stop()
        self._patches.undo()

    def _sync(self, original):
        begin = self._client.begin_httpx

        def handle_request(self, request):
            call = begin(request)
            if call is None:
                return original(self, request)
            try:
                response = original(self, request)
            except BaseException as error:
                call.fail(error)
                raise
            call.end(response)
            return response

        return handle_request

    def _async(self, original):
        begin = self._client.begin_httpx

        async def handle_async_request(self, request):
            call = begin(request)
            if call is None:
                return await original(self, request)
            try:
                response = await original(self, request)
            except BaseException as error:
                call.fail(error)
                raise
            call.end(response)
            return response

        return handle_async_request


_transports = Transports()
instrument = _transports.instrument
uninstrument = _transports.uninstrument
