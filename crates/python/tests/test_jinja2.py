"""Jinja2, against recordings of the official package 0.66b1."""

from clients import exception_of, run_cases


class Nothing:
    url = ""


SETUP = """
import asyncio, jinja2, os, tempfile
directory = tempfile.mkdtemp()
for name, text in {
    "base.html": "<{% block c %}{% endblock %}>",
    "page.html": "{% extends 'base.html' %}{% block c %}{{ x }}{% include 'inc.html' %}{% endblock %}",
    "inc.html": "i",
    "bad.html": "{% nope %}",
    "err.html": "{{ 1/0 }}",
}.items():
    with open(os.path.join(directory, name), "w") as file:
        file.write(text)
environment = jinja2.Environment(loader=jinja2.FileSystemLoader(directory))
in_memory = jinja2.Environment(loader=jinja2.DictLoader({"a": "A"}))
"""


def tree(case):
    """(name, template, file, parent's name and template) of each span, as they ended."""
    spans = {span["span_id"]: span for span in case.spans}

    def brief(span):
        return span["name"].removeprefix("jinja2."), span["attributes"]["jinja2.template_name"]

    rows = []
    for span in case.spans:
        path = span["attributes"].get("jinja2.template_path")
        parent = spans.get(span["parent_id"])
        rows.append((*brief(span), path and path.rpartition("/")[2], parent and brief(parent)))
        assert set(span["attributes"]) <= {"jinja2.template_name", "jinja2.template_path"}
        assert span["kind"] == "INTERNAL"
        assert span["scope"]["name"] == "opentelemetry.instrumentation.jinja2"
        assert span["scope"]["schema_url"] == "https://opentelemetry.io/schemas/1.11.0"
    return rows


def test_templates(run_app):
    cases = run_cases(
        run_app,
        Nothing,
        SETUP,
        {
            "first": 'assert environment.get_template("page.html").render(x=1) == "<1i>"',
            "cached": 'environment.get_template("page.html").render(x=1)',
            "string": 'environment.from_string("hi").render()',
            "template": 'jinja2.Template("hi").render()',
            "generate": """
                pieces = environment.get_template("inc.html").generate()
                assert "".join(pieces) == "i"
            """,
            "in_memory": 'in_memory.get_template(name="a").render()',
            "selected": 'in_memory.select_template(["missing", "a"])',
            "expression": "assert environment.compile_expression('1 + 1')() == 2",
        },
    )
    render = ("render", "page.html")
    assert tree(cases["first"]) == [
        ("compile", "page.html", None, ("load", "page.html")),
        ("load", "page.html", "page.html", None),
        ("compile", "base.html", None, ("load", "base.html")),
        ("load", "base.html", "base.html", render),
        ("compile", "inc.html", None, ("load", "inc.html")),
        ("load", "inc.html", "inc.html", render),
        ("render", "page.html", None, None),
    ]
    assert tree(cases["cached"]) == [
        ("load", "page.html", "page.html", None),
        ("load", "base.html", "base.html", render),
        ("load", "inc.html", "inc.html", render),
        ("render", "page.html", None, None),
    ]
    unnamed = [("compile", "<memory>", None, None), ("render", "<memory>", None, None)]
    assert tree(cases["string"]) == tree(cases["template"]) == unnamed
    assert tree(cases["generate"]) == [
        ("load", "inc.html", "inc.html", None),
        ("render", "inc.html", None, None),
    ]
    assert tree(cases["in_memory"]) == [
        ("compile", "a", None, ("load", "a")),
        ("load", "a", "<template>", None),
        ("render", "a", None, None),
    ]
    assert tree(cases["selected"]) == [
        ("load", "missing", None, None),
        ("load", "a", "<template>", None),
    ]
    assert tree(cases["expression"]) == [("compile", "<memory>", None, None)]


def test_errors(run_app):
    cases = run_cases(
        run_app,
        Nothing,
        SETUP,
        {
            "missing": """
                error = quietly(environment.get_template, "missing.html")
                assert type(error) is jinja2.TemplateNotFound
            """,
            "bad": """
                error = quietly(environment.get_template, "bad.html")
                assert type(error) is jinja2.TemplateSyntaxError
            """,
            "failing": """
                error = quietly(environment.get_template("err.html").render)
                assert type(error) is ZeroDivisionError
            """,
        },
    )
    missing = cases["missing"].span
    assert missing["status_description"].startswith("TemplateNotFound: ")
    assert exception_of(missing)["exception.type"] == "jinja2.exceptions.TemplateNotFound"
    for span in cases["bad"].spans:
        assert exception_of(span)["exception.type"] == "jinja2.exceptions.TemplateSyntaxError"
        assert span["status_description"] == (
            "TemplateSyntaxError: Encountered unknown tag 'nope'."
        )
    *loaded, rendered = cases["failing"].spans
    assert [span["status"] for span in loaded] == ["UNSET", "UNSET"]
    assert (rendered["name"], rendered["status"]) == ("jinja2.render", "ERROR")
    assert rendered["status_description"] == "ZeroDivisionError: division by zero"


def test_asynchronous_rendering_loads(run_app):
    """As the official package: `render_async` itself has no span."""
    case = run_cases(
        run_app,
        Nothing,
        SETUP,
        {
            "page": """
                environment = jinja2.Environment(
                    loader=jinja2.FileSystemLoader(directory), enable_async=True
                )
                page = environment.get_template("page.html").render_async(x=1)
                assert asyncio.run(page) == "<1i>"
            """
        },
    )["page"]
    assert [row[:2] for row in tree(case) if row[0] == "load"] == [
        ("load", "page.html"),
        ("load", "base.html"),
        ("load", "inc.html"),
    ]
    assert not any(row[0] == "render" for row in tree(case))
