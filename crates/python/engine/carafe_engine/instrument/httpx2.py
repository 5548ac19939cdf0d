"""httpx2: as httpx."""

from carafe_engine.instrument.httpx import Transports

_transports = Transports()
instrument = _transports.instrument
uninstrument = _transports.uninstrument
