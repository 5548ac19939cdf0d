"""The version of the SDK that this overlay behaves as.

API and SDK are released together, so the API that the application has
installed names the SDK it would have had beside it.
"""

try:
    from opentelemetry.version import __version__
except ImportError:  # an API that does not say: the version that was followed
    __version__ = "1.45.1"

__all__ = ["__version__"]
