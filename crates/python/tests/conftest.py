"""Fixtures of the engine's tests.

The tests run apps in processes of their own, with the engine in front: never in the process of
pytest. CARAFE_ENGINE_DIR names an engine directory that is already built.
"""

import functools
import os
import pathlib
import subprocess

import pytest
import ring

REPOSITORY = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="session")
def engine_dir(tmp_path_factory):
    """A complete engine directory, as `carafe run` puts it in front of PYTHONPATH."""
    if built := os.environ.get("CARAFE_ENGINE_DIR"):
        return pathlib.Path(built).resolve()
    directory = tmp_path_factory.mktemp("engine")
    subprocess.run([REPOSITORY / "scripts/python-engine", directory], check=True)
    return directory


@pytest.fixture(scope="session")
def run_app(engine_dir):
    """`ring.run_app` with the engine: `result = run_app(code, env={...})`."""
    return functools.partial(ring.run_app, engine_dir)


@pytest.fixture(scope="session")
def serve(engine_dir):
    """`ring.serve` with the engine: `with serve(command) as server:`."""
    return functools.partial(ring.serve, engine_dir)
