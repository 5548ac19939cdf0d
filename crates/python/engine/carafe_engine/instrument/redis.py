"""redis: one span for each command and each pipeline, without the commands' arguments."""

import os

from carafe_engine import _native
from carafe_engine.instrument.patches import Patches

_CLIENT = 2
_STATEMENT_LIMIT = 1000
_FIELD_TYPES = ("NUMERIC", "TEXT", "GEO", "TAG", "VECTOR")

_OLD, _NEW = 1, 2


def _generations(name):
    """Which generations of attribute names are wanted."""
    wanted = [
        word.strip() for word in os.environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")
    ]
    if name + "/dup" in wanted:
        return _OLD | _NEW
    return _NEW if name in wanted else _OLD


_database = _generations("database")
_http = _generations("http")
_schema = "1.25.0" if _database & _NEW else "1.21.0" if _http & _NEW else "1.11.0"

_sections = _native.Sections(
    "opentelemetry.instrumentation.redis", "https://opentelemetry.io/schemas/" + _schema
)
_patches = Patches()
_is_on = True


def instrument(module):
    """`module` is one of those of redis that hold clients and pipelines."""
    is_async = module.__name__.startswith("redis.asyncio.")
    command = _async_command if is_async else _command
    pipeline = _async_pipeline if is_async else _pipeline
    # A name that a module or version is without is passed over.
    for name, methods in (
        ("Redis", (("execute_command", command),)),
        ("RedisCluster", (("execute_command", command),)),
        ("Pipeline", (("execute", pipeline), ("immediate_execute_command", command))),
        ("ClusterPipeline", (("execute", pipeline),)),
    ):
        owner = vars(module).get(name)
        if owner is not None and owner.__module__ == module.__name__:
            for method, make in methods:
                _patches.wrap(owner, method, make)


def uninstrument():
    global _is_on
    _is_on = False
    _patches.undo()


def _begin(describe, instance, *args):
    """A section as `describe` says; `None` where there is to be none."""
    if not _is_on or _sections.is_silenced():
        return None
    try:
        name, attributes = describe(instance, *args)
        _put_server(attributes, instance)
    except Exception as error:
        _native.fault("redis", error)
        return None
    return _sections.begin(name, _CLIENT, attributes)


def _command(original):
    def execute_command(self, *args, **options):
        section = _begin(_describe_command, self, args)
        if section is None:
            return original(self, *args, **options)
        try:
            response = original(self, *args, **options)
        except BaseException as error:
            section.end(error)
            raise
        if args and args[0] == "FT.SEARCH":
            _put_results(section, args, response)
        section.end()
        return response

    return execute_command


def _async_command(original):
    async def execute_command(self, *args, **options):
        section = _begin(_describe_command, self, args)
        if section is None:
            return await original(self, *args, **options)
        try:
            response = await original(self, *args, **options)
        except BaseException as error:
            section.end(error)
            raise
        section.end()
        return response

    return execute_command


def _pipeline(original):
    def execute(self, *args, **kwargs):
        section = _begin(_describe_pipeline, self)
        if section is None:
            return original(self, *args, **kwargs)
        try:
            response = original(self, *args, **kwargs)
        except BaseException as error:
            section.end(_failure(error))
            raise
        section.end()
        return response

    return execute


def _async_pipeline(original):
    async def execute(self, *args, **kwargs):
        section = _begin(_describe_pipeline, self)
        if section is None:
            return await original(self, *args, **kwargs)
        try:
            response = await original(self, *args, **kwargs)
        except BaseException as error:
            section.end(_failure(error))
            raise
        section.end()
        return response

    return execute


def _failure(error):
    """The error of a span; a watched key that has changed is none."""
    return None if type(error).__name__ == "WatchError" else error


def _describe_command(instance, args):
    attributes = {}
    _put_statement(attributes, _statement(args))
    attributes["db.redis.args_length"] = len(args)
    name = args[0] if args else None
    if name == "FT.SEARCH":
        name = "redis.search"
    elif name == "FT.CREATE":
        name = "redis.create_index"
        _put_index(attributes, args)
    return _text(name) if name else str(_database_of(instance)), attributes


def _describe_pipeline(instance):
    commands = [_arguments(command) for command in _queue(instance)]
    attributes = {}
    _put_statement(attributes, "\n".join(map(_statement, commands)))
    attributes["db.redis.pipeline_length"] = len(commands)
    name = " ".join(_text(command[0]) for command in commands if command)
    return name or "redis", attributes


def _queue(pipeline):
    """The commands that wait in a pipeline: clusters keep them in their strategy since redis 6."""
    strategy = getattr(pipeline, "_execution_strategy", None)
    for owner, name in (
        (strategy, "command_queue"),
        (strategy, "_command_queue"),
        (pipeline, "command_stack"),
        (pipeline, "_command_stack"),
    ):
        queue = getattr(owner, name, None)
        if queue is not None:
            return queue
    return ()


def _arguments(command):
    """A command's words: of a cluster's object, or of a tuple of words and options."""
    args = getattr(command, "args", None)
    return command[0] if args is None else args


def _text(word):
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)


def _statement(args):
    """A command with its arguments left out."""
    if not args:
        return ""
    statement = _text(args[0]) + " ?" * (len(args) - 1)
    if len(statement) > _STATEMENT_LIMIT:
        statement = statement[: _STATEMENT_LIMIT - 3] + "..."
    return statement


def _put_statement(attributes, statement):
    if _database & _OLD:
        attributes["db.statement"] = statement
        attributes["db.system"] = "redis"
    if _database & _NEW:
        attributes["db.query.text"] = statement
        attributes["db.system.name"] = "redis"


def _connection(instance):
    """How an instance connects; `None` for clusters, which have a pool for each node."""
    return getattr(getattr(instance, "connection_pool", None), "connection_kwargs", None)


def _database_of(instance):
    return (_connection(instance) or {}).get("db") or 0


def _put_server(attributes, instance):
    connection = _connection(instance)
    if connection is None:
        return
    if _database & _OLD:
        attributes["db.redis.database_index"] = int(connection.get("db") or 0)
    path = connection.get("path")
    host = connection.get("host", "localhost") if path is None else path
    port = connection.get("port", 6379) if path is None else None
    if _http & _OLD:
        attributes["net.peer.name"] = host
        if port:
            attributes["net.peer.port"] = int(port)
        attributes["net.transport"] = "ip_tcp" if path is None else "other"
    if _http & _NEW:
        attributes["server.address"] = host
        if port:
            attributes["server.port"] = int(port)
        attributes["network.transport"] = "tcp" if path is None else "unix"


def _put_index(attributes, args):
    """What FT.CREATE says of its index: `FT.CREATE index ... SCHEMA name type ...`."""
    if len(args) > 1:
        attributes["redis.create_index.index"] = _text(args[1])
    if "SCHEMA" in args:
        schema = args[args.index("SCHEMA") :]
        fields = (
            "Field(name: %s, type: %s);" % (schema[at - 1], schema[at])
            for at in range(1, len(schema))
            if schema[at] in _FIELD_TYPES
        )
        fields = "".join(fields)
        if fields:
            attributes["redis.create_index.fields"] = fields


def _put_results(section, args, response):
    """What FT.SEARCH was asked and has found: a count, then names and documents in turns."""
    try:
        for key, at in (("redis.search.index", 1), ("redis.search.query", 2)):
            if len(args) > at and args[at] not in (None, ""):
                section.set(key, args[at])
        if not isinstance(response, (list, tuple)) or not response:
            return
        section.set("redis.search.total", response[0])
        if "NOCONTENT" in args:
            return
        for at in range(1, len(response) - 1, 2):
            document = response[at + 1]
            for field in range(0, len(document) - 1, 2):
                key = "redis.search.xdoc_%s.%s" % (response[at], document[field])
                section.set(key, document[field + 1])
    except Exception as error:
        _native.fault("redis", error)
