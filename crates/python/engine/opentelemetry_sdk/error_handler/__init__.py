"""Handlers of errors, found through the entry points `opentelemetry_error_handler`.

A handler derives from `ErrorHandler` and from the exceptions it takes:

    class Ignore(ErrorHandler, ZeroDivisionError):
        def _handle(self, error, *args, **kwargs): ...

    with GlobalErrorHandler():
        1 / 0
"""

from abc import ABC, abstractmethod
from logging import getLogger

from opentelemetry.util._importlib_metadata import entry_points

logger = getLogger(__name__)


class ErrorHandler(ABC):
    """One handler; what it also derives from says which errors it takes."""

    @abstractmethod
    def _handle(self, error, *args, **kwargs):
        """Deals with the error."""


class _DefaultErrorHandler(ErrorHandler):
    """Logs what no other handler took."""

    def _handle(self, error, *args, **kwargs):
        logger.exception("Error handled by default error handler: ")


class GlobalErrorHandler:
    """A context manager that hands errors to the handlers and lets none out. One per process."""

    _instance = None

    def __new__(cls):
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __enter__(self):
        pass

    def __exit__(self, exc_type, exc_value, traceback):
        if exc_value is None:
            return None
        handled = False
        for entry_point in entry_points(group="opentelemetry_error_handler"):
            handler = entry_point.load()
            if not issubclass(handler, type(exc_value)):
                continue
            try:
                handler()._handle(exc_value)
                handled = True
            except Exception as failure:  # a handler's fault is its own
                logger.exception(
                    "%s error while handling error %s by error handler %s",
                    type(failure).__name__,
                    type(exc_value).__name__,
                    handler.__name__,
                )
        if not handled:
            _DefaultErrorHandler()._handle(exc_value)
        return True
