"""Jinja2: spans for loading, compiling and rendering templates."""

from carafe_engine import _native
from carafe_engine.instrument.patches import Patches

_INTERNAL = 0
_NAME = "jinja2.template_name"
_PATH = "jinja2.template_path"
_UNNAMED = "<memory>"

_begin = _native.Sections(
    "opentelemetry.instrumentation.jinja2", "https://opentelemetry.io/schemas/1.11.0"
).begin
_patches = Patches()


def instrument(module):
    """`module` is `jinja2.environment`."""
    _patches.wrap(module.Template, "render", _render)
    # The span ends before the first piece is generated, as the caller may never ask for it.
    _patches.wrap(module.Template, "generate", _render)
    _patches.wrap(module.Environment, "compile", _compile)
    _patches.wrap(module.Environment, "_load_template", _load)


def uninstrument():
    _patches.undo()


def _render(original):
    def render(self, *args, **kwargs):
        section = _begin("jinja2.render", _INTERNAL, {_NAME: self.name or _UNNAMED})
        if section is None:
            return original(self, *args, **kwargs)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            section.end(error)
            raise
        section.end()
        return result

    return render


def _compile(original):
    def compile(self, source, name=None, *args, **kwargs):
        section = _begin("jinja2.compile", _INTERNAL, {_NAME: name or _UNNAMED})
        if section is None:
            return original(self, source, name, *args, **kwargs)
        try:
            result = original(self, source, name, *args, **kwargs)
        except BaseException as error:
            section.end(error)
            raise
        section.end()
        return result

    return compile


def _load(original):
    def _load_template(self, name, *args, **kwargs):
        section = _begin("jinja2.load", _INTERNAL, {_NAME: name})
        if section is None:
            return original(self, name, *args, **kwargs)
        try:
            template = original(self, name, *args, **kwargs)
        except BaseException as error:
            section.end(error)
            raise
        path = getattr(template, "filename", None)
        if path is not None:
            section.set(_PATH, path)
        section.end()
        return template

    return _load_template
