"""Functions that run inside a span of their own."""

import functools
import inspect


def decorate(current_span, function):
    """Wraps `function` so that every call has a fresh span as `current_span` describes it."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            with current_span.again():
                return await function(*args, **kwargs)

    else:

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            with current_span.again():
                return function(*args, **kwargs)

    return wrapper
