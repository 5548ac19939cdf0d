"""celery: a span for each task that is published and one, its child, for each that is run."""

from time import perf_counter

from carafe_engine import _native
from carafe_engine.instrument.patches import Patches

_SCOPE = "opentelemetry.instrumentation.celery"
_SCHEMA = "https://opentelemetry.io/schemas/1.11.0"
_PRODUCER, _CONSUMER = 3, 4
_ERROR = 2
_HISTOGRAM = 2

# Values of a message or of a task's request, and what they are called as attributes.
_CONTEXT = (
    ("compression", "celery.compression"),
    ("correlation_id", "messaging.conversation_id"),
    ("countdown", "celery.countdown"),
    ("delivery_info", "celery.delivery_info"),
    ("declare", "messaging.destination_kind"),
    ("eta", "celery.eta"),
    ("exchange", "celery.exchange"),
    ("expires", "celery.expires"),
    ("hostname", "celery.hostname"),
    ("id", "messaging.message.id"),
    ("priority", "celery.priority"),
    ("queue", "celery.queue"),
    ("reply_to", "celery.reply_to"),
    ("retries", "celery.retries"),
    ("routing_key", "messaging.destination"),
    ("serializer", "celery.serializer"),
    ("timelimit", "celery.timelimit"),
    # What is sent by celery 4 and newer in the place of `hostname`.
    ("origin", "celery.hostname"),
    ("state", "celery.state"),
)

_tracer = _native.provider().tracer(_SCOPE, _native.VERSION, _SCHEMA)
_runtime = _native.meter(_SCOPE, _native.VERSION, _SCHEMA).instrument(
    _HISTOGRAM, "flower.task.runtime.seconds", "seconds", "The time it took to run the task."
)
_patches = Patches()
_receivers = ()

# Task id -> the publications, or the runs, that are under way: (span, token), or (span, token,
# token of what the message carried, start). A task that is run in place and tries again is under
# way twice.
_published = {}
_running = {}


def instrument(module):
    """`module` is `celery.app.base`."""
    global _receivers
    from celery import signals
    from celery.app import amqp

    _receivers = (
        (signals.before_task_publish, _before_publish),
        (signals.after_task_publish, _after_publish),
        (signals.task_prerun, _prerun),
        (signals.task_postrun, _postrun),
        (signals.task_failure, _task_failure),
        (signals.task_retry, _task_retry),
    )
    for signal, receiver in _receivers:
        signal.connect(receiver, weak=False)
    _patches.wrap(amqp.AMQP, "_create_task_sender", _task_sender)


def uninstrument():
    for signal, receiver in _receivers:
        signal.disconnect(receiver)
    _patches.undo()


def _guarded(receiver):
    """Signals swallow errors, but log them as the app's."""

    def guarded(*args, **kwargs):
        if not _native.is_on():
            return
        try:
            receiver(**kwargs)
        except Exception as error:
            _native.fault("celery", error)

    return guarded


def _push(under_way, task_id, entry):
    under_way.setdefault(task_id, []).append(entry)


def _pop(under_way, task_id):
    entries = under_way.get(task_id)
    if not entries:
        return None
    entry = entries.pop()
    if not entries:
        del under_way[task_id]
    return entry


def _detach(token):
    try:
        _native.detach(token)
    except ValueError:
        # The signal of the end came in another context than that of the beginning.
        pass


def _message_id(headers, body):
    """Of a message of protocol 2, which has it in its headers, or of protocol 1."""
    if headers:
        return headers.get("id")
    return body.get("id") if isinstance(body, dict) else None


@_guarded
def _before_publish(sender=None, body=None, headers=None, **context):
    task_id = _message_id(headers, body)
    if task_id is None:
        return
    attributes = {
        "celery.action": "apply_async",
        "messaging.message.id": task_id,
        "celery.task_name": sender,
    }
    _put_context(attributes, context)
    span = _tracer.start_span("apply_async/%s" % sender, None, _PRODUCER, attributes)
    _push(_published, task_id, (span, _native.attach(span)))
    if headers:
        for name, value in _native.inject():
            headers[name] = value


@_guarded
def _after_publish(headers=None, body=None, **_):
    _end_publication(_message_id(headers, body), None)


def _end_publication(task_id, error):
    entry = _pop(_published, task_id)
    if entry is None:
        return
    span, token = entry
    _detach(token)
    span.__exit__(type(error) if error is not None else None, error, None)


def _task_sender(original):
    """No signal tells of a task that could not be published."""

    def _create_task_sender(self):
        send = original(self)

        def send_task_message(producer, name, message, *args, **kwargs):
            try:
                return send(producer, name, message, *args, **kwargs)
            except Exception as error:
                _publication_failed(message, error)
                raise

        return send_task_message

    return _create_task_sender


def _publication_failed(message, error):
    try:
        headers, _properties, body, _event = message
        _end_publication(_message_id(headers, body), error)
    except Exception as fault:
        _native.fault("celery", fault)


@_guarded
def _prerun(task_id=None, task=None, **_):
    if task is None or task_id is None:
        return
    request = task.request
    carried = _native.extract(lambda name: _header(request, name))
    outer = _native.attach(carried) if carried is not None else None
    span = _tracer.start_span("run/%s" % task.name, None, _CONSUMER)
    _push(_running, task_id, (span, _native.attach(span), outer, perf_counter()))


def _header(request, name):
    """A header of the task's message: celery makes them attributes of the request."""
    value = getattr(request, name, None)
    if isinstance(value, (list, tuple)):
        value = value[0] if value else None
    return value if value is None or isinstance(value, str) else str(value)


@_guarded
def _postrun(task_id=None, task=None, state=None, **_):
    entry = _pop(_running, task_id)
    if task is None or entry is None:
        return
    span, token, outer, started = entry
    request = task.request
    if span.is_recording():
        attributes = {"celery.action": "run", "celery.task_name": task.name}
        if state:
            attributes["celery.state"] = state
        _put_context(attributes, request)
        span.set_attributes(attributes)
    _detach(token)
    span.end()
    _runtime.record(perf_counter() - started, {"task": task.name, "worker": request.hostname})
    if outer is not None:
        _detach(outer)


@_guarded
def _task_failure(sender=None, task_id=None, exception=None, einfo=None, **_):
    entries = _running.get(task_id)
    if not entries or sender is None:
        return
    span = entries[-1][0]
    if exception is None and einfo is not None:
        exception = einfo.exception
    # Pools send what was raised in a wrapper with its traceback.
    exception = getattr(exception, "exc", None) or exception
    if isinstance(exception, getattr(sender, "throws", ()) or ()):
        return
    if exception is None:
        span.set_status(_ERROR)
        return
    span.record_exception(exception)
    span.set_status(_ERROR, str(exception))


@_guarded
def _task_retry(request=None, reason=None, **_):
    entries = _running.get(getattr(request, "id", None))
    if entries and reason:
        entries[-1][0].set_attribute("celery.retry.reason", str(reason))


def _put_context(attributes, context):
    """What a message or a task's request tells of itself."""
    get = context.get
    for name, key in _CONTEXT:
        value = get(name)
        if value is None or value == "":
            continue
        if name == "retries" and value == 0:
            continue
        if name == "timelimit":
            if all(limit is None for limit in value):
                continue
            if None in value:
                value = ["" if limit is None else str(limit) for limit in value]
        elif name == "delivery_info":
            routing_key = value.get("routing_key")
            if routing_key is not None:
                attributes["messaging.destination"] = routing_key
            value = str(value)
        elif name == "declare":
            value = _destination_kind(value)
        elif not isinstance(value, (str, int, float)):
            # Exchanges and queues may be objects, and times are.
            value = str(value)
        attributes[key] = value


def _destination_kind(declared):
    for entity in declared:
        kind = entity.exchange.type
        if kind == "direct":
            return "queue"
        if kind == "topic":
            return "topic"
    return str(declared)
