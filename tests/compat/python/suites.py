"""The official suites: which sdists they come in, and which of their tests are black boxes."""

import ast
import pathlib

SDK_RELEASE = "1.45.1"
CONTRIB_RELEASE = "0.66b1"

CONTRIB = (
    "flask wsgi django fastapi asgi starlette requests urllib3 urllib httpx sqlalchemy dbapi "
    "sqlite3 psycopg2 psycopg pymysql redis logging jinja2 celery threading asyncio"
).split()

#: Parts of the SDK's suite, as folders and files of its sdist.
SDK = {
    "sdk-trace": ["tests/trace"],
    "sdk-metrics": ["tests/metrics"],
    "sdk-logs": ["tests/logs"],
    "sdk-resources": ["tests/resources"],
    "sdk-other": [
        "tests/_configuration",
        "tests/error_handler",
        "tests/shared_internal",
        "tests/test_configurator.py",
        "tests/test_environment_variables_internal.py",
        "tests/test_util.py",
    ],
}

ALL = [*CONTRIB, *SDK]


def distribution(suite):
    """The sdist of a suite: (project, release)."""
    if suite in SDK:
        return "opentelemetry-sdk", SDK_RELEASE
    return f"opentelemetry-instrumentation-{suite}", CONTRIB_RELEASE


def paths(suite):
    return SDK.get(suite, ["tests"])


def white_boxes(suite, directory):
    """The tests of an SDK suite that look into the official SDK, as node ids without parameters.

    Those are the tests whose function, class or helpers use a private name: an attribute that
    begins with one underscore and belongs to something else than the test itself, a name that
    was imported from a private module, or a patch of one. `opentelemetry.sdk._logs` and its
    `export`, the public names of the logs signal, are not private.
    """
    found = set()
    if suite not in SDK:
        return found
    for part in paths(suite):
        path = pathlib.Path(directory) / part
        for file in [path] if path.is_file() else sorted(path.rglob("test_*.py")):
            name = file.relative_to(directory).as_posix()
            found.update(f"{name}::{test}" for test in _white_boxes_of(file.read_text()))
    return found


PUBLIC_MODULES = {"_logs", "_events"}


def _is_private(name):
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC_MODULES


def _white_boxes_of(source):
    tree = ast.parse(source)
    private_names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("opentelemetry"):
            from_private = any(map(_is_private, node.module.split(".")))
            for alias in node.names:
                if from_private or _is_private(alias.name):
                    private_names.add(alias.asname or alias.name)
    helpers = [
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and not node.name.lower().startswith("test")
    ]
    private_names.update(node.name for node in helpers if _looks_in(node, private_names))

    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.name.startswith("test") and _looks_in(node, private_names):
                yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from _white_boxes_of_class(node, private_names)


def _white_boxes_of_class(node, private_names):
    methods = [
        item for item in node.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    tests = [item for item in methods if item.name.startswith("test")]
    around = [item for item in methods if item.name in ("setUp", "setUpClass", "setup_method")]
    looking = {
        item.name for item in methods if item not in tests and _looks_in(item, private_names)
    }
    all_look = any(item.name in looking for item in around)
    for test in tests:
        calls_one = any(
            isinstance(part, ast.Attribute) and part.attr in looking for part in ast.walk(test)
        )
        if all_look or calls_one or _looks_in(test, private_names):
            yield f"{node.name}::{test.name}"


def _looks_in(node, private_names):
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and _is_private(part.attr):
            owner = part.value
            if not (isinstance(owner, ast.Name) and owner.id in ("self", "cls", "unittest")):
                return True
        elif isinstance(part, ast.Name) and part.id in private_names:
            return True
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            words = part.value.split(".")
            if words[0] == "opentelemetry" and any(map(_is_private, words)):
                return True
    return False
