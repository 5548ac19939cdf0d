"""The engine in every CPython that is found here, 3.9 and newer, each with a Flask of its own."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import ring

# Minor versions of Python 3: the oldest, and the first that is too new to be looked for.
OLDEST, TOO_NEW = 9, 16
REQUIREMENTS = ["Flask", "opentelemetry-api"]

APP = """
    from flask import Flask
    from opentelemetry import trace

    app = Flask(__name__)


    @app.get("/hello/<name>")
    def hello(name):
        with trace.get_tracer("app").start_as_current_span("greet"):
            return f"hello {name}"


    client = app.test_client()
    assert client.get("/hello/world").data == b"hello world"
    assert client.get("/nowhere").status_code == 404
"""


def interpreters():
    """Names such as `python3.9` to programs: those on PATH, and pyenv's."""
    found = {}
    versions = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    for minor in range(OLDEST, TOO_NEW):
        name = f"python3.{minor}"
        for path in [shutil.which(name), *versions.glob(f"versions/3.{minor}.*/bin/python3")]:
            if path and starts(path, minor):
                found[name] = str(path)
    found.setdefault(f"python3.{sys.version_info[1]}", sys.executable)
    return found


def starts(path, minor):
    """A shim of pyenv is there for versions that are not chosen, and refuses to run."""
    command = [str(path), "-c", "import sys; print(sys.version_info[1])"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip() == str(minor)


FOUND = interpreters()


def environment_of(interpreter):
    """A virtual environment that is made once for each interpreter."""
    base = os.environ.get("CARAFE_CACHE") or pathlib.Path.home() / ".cache/carafe"
    key = hashlib.sha256(repr((interpreter, REQUIREMENTS)).encode()).hexdigest()[:12]
    venv = pathlib.Path(base) / "python-versions" / key
    if not (venv / "complete").exists():
        subprocess.run([interpreter, "-m", "venv", "--clear", venv], check=True)
        pip = [venv / "bin/python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--disable-pip-version-check", *REQUIREMENTS], check=True)
        (venv / "complete").touch()
    return venv / "bin/python"


@pytest.mark.parametrize("name", FOUND)
def test_flask_and_the_api(engine_dir, name):
    result = ring.run_app(engine_dir, APP, python=environment_of(FOUND[name]))
    request = result.span("GET /hello/<name>")
    assert request["kind"] == "SERVER"
    assert request["attributes"]["http.status_code"] == 200
    assert [span["name"] for span in result.children(request)] == ["greet"]
    assert result.span("GET")["attributes"]["http.status_code"] == 404
    assert len(result.metric("http.server.duration")) == 2
    assert [notice for notice in result.notices if notice["kind"] == "problem"] == []
