"""The scope of telemetry: which code made it."""

from fnmatch import fnmatchcase
from json import dumps
from typing import Callable

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.util import deprecated


class InstrumentationInfo:
    """What scopes were before they had attributes. Immutable."""

    __slots__ = ("_name", "_version", "_schema_url")

    @deprecated("You should use InstrumentationScope. Deprecated since version 1.11.1.")
    def __init__(self, name, version=None, schema_url=None):
        self._name = name
        self._version = version
        self._schema_url = "" if schema_url is None else schema_url

    name = property(lambda self: self._name)
    version = property(lambda self: self._version)
    schema_url = property(lambda self: self._schema_url)

    def _key(self):
        return self._name, self._version, self._schema_url

    def __hash__(self):
        return hash(self._key())

    def __eq__(self, other):
        return type(other) is type(self) and self._key() == other._key()

    def __lt__(self, other):
        return self._key() < other._key() if type(other) is type(self) else NotImplemented

    def __repr__(self):
        return "{}({}, {}, {})".format(type(self).__name__, *self._key())


class InstrumentationScope:
    """Name, version, schema and attributes of the code that makes telemetry. Immutable."""

    __slots__ = ("_name", "_version", "_schema_url", "_attributes")

    def __init__(self, name, version=None, schema_url=None, attributes=None):
        self._name = name
        self._version = version
        self._schema_url = "" if schema_url is None else schema_url
        self._attributes = BoundedAttributes(attributes=attributes, immutable=True)

    name = property(lambda self: self._name)
    version = property(lambda self: self._version)
    schema_url = property(lambda self: self._schema_url)
    attributes = property(lambda self: self._attributes)

    def _key(self):
        return self._name, self._version, self._schema_url, self._attributes

    def __hash__(self):
        # Attributes are compared but not hashed: they are a mapping.
        return hash(self._key()[:3])

    def __eq__(self, other):
        return (
            self._key() == other._key()
            if isinstance(other, InstrumentationScope)
            else NotImplemented
        )

    def __lt__(self, other):
        return (
            self._key() < other._key()
            if isinstance(other, InstrumentationScope)
            else NotImplemented
        )

    def __repr__(self):
        return "{}({}, {}, {}, {})".format(type(self).__name__, *self._key())

    def to_json(self, indent=4):
        return dumps(
            {
                "name": self._name,
                "version": self._version,
                "schema_url": self._schema_url,
                "attributes": dict(self._attributes) or None,
            },
            indent=indent,
        )


def _scope_name_matches_glob(glob_pattern):
    """A predicate over scopes: the name matches the pattern, in its exact case."""
    return lambda scope: fnmatchcase(scope.name, glob_pattern)


# Imported by code that annotates its own predicates.
_InstrumentationScopePredicateT = Callable[[InstrumentationScope], bool]
