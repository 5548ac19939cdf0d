"""Runs the official suites on the official SDK and on Carafe's, and compares.

    scripts/compat-python [options] [SUITE...]

Fetches the sdists of pinned releases with pip, makes one virtual environment with the official
packages, and runs each suite in it as it comes: once as it is (the control), once with the
engine in front of PYTHONPATH. Ends with status 1 where reasons.toml does not tell the truth:
a test fails that it does not list, or one passes that it lists.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

import suites
import table
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
RESULTS = HERE / "results.json"
REASONS = HERE / "reasons.toml"
DOCUMENT = REPOSITORY / "docs/compatibility-python.md"

#: The message of a test that passed only when it was run again.
AGAIN = "passed when it was run again, alone"
#: One test; the slowest of the official ones takes some seconds.
TEST_TIMEOUT_S = 60
#: One suite; the slowest takes half a minute on a quiet machine.
SUITE_TIMEOUT_S = 900
#: Failed tests that are run again alone: some of the official ones depend on time. Where more
#: fail it is no accident.
AGAIN_LIMIT = 10
#: How often a suite is taken up again after a test that ended the interpreter.
CRASH_LIMIT = 20


def cache_directory():
    base = os.environ.get("CARAFE_CACHE")
    if not base:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        base = os.path.join(home, "carafe")
    requirements = (HERE / "requirements.txt").read_bytes() + sys.version.encode()
    key = hashlib.sha256(requirements).hexdigest()[:12]
    return pathlib.Path(base) / "compat-python" / key


def prepare(cache):
    """The interpreter of the virtual environment, made where it is not there yet."""
    python = cache / "venv/bin/python"
    if not (cache / "venv.complete").exists():
        cache.mkdir(parents=True, exist_ok=True)
        print(f"compat: making a virtual environment in {cache}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", cache / "venv"], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # hatchling builds the official sdists; pip asks for their metadata when it fetches them.
        subprocess.run([*install, "-r", HERE / "requirements.txt", "hatchling"], check=True)
        (cache / "venv.complete").touch()
    return python


def fetch(cache, python, project, release):
    """The unpacked sdist of a release."""
    name = f"{project.replace('-', '_')}-{release}"
    if not (cache / "sdists" / name).is_dir():
        with tempfile.TemporaryDirectory(dir=cache) as directory:
            options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--quiet"]
            options += ["--disable-pip-version-check", "--dest", directory]
            subprocess.run(
                [python, "-m", "pip", "download", *options, f"{project}=={release}"], check=True
            )
            with tarfile.open(f"{directory}/{name}.tar.gz") as archive:
                archive.extractall(cache / "sdists", filter="data")
    return cache / "sdists" / name


def engine_directory():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="carafe-engine-"))
    subprocess.run([REPOSITORY / "scripts/python-engine", directory], check=True)
    return directory


def run_suite(python, suite, directory, engine):
    """Runs one suite to its end: test to (outcome, message)."""
    outcomes, done = {}, set()
    for _ in range(CRASH_LIMIT):
        status, lines = run_pytest(python, suites.paths(suite), directory, engine, done)
        running = None
        for line in lines:
            event, test = line["event"], line.get("test")
            if event == "sdk":
                check_sdk(line, engine)
            elif event == "start":
                running = test
            elif event == "finish":
                running = None
                done.add(test)
            elif outcomes.get(test, ("",))[0] != "failed":
                outcomes[test] = (line["outcome"], line["message"])
        if running is None:
            return run_again(python, directory, engine, outcomes)
        outcomes[running] = ("failed", f"the interpreter ended with {status}")
        done.add(running)
    raise SystemExit(f"compat: {suite}: more than {CRASH_LIMIT} tests ended the interpreter")


def run_again(python, directory, engine, outcomes):
    """Runs failed tests once more, alone. What passes then says so in its message."""
    failed = [test for test, (outcome, _) in outcomes.items() if outcome == "failed"]
    if 0 < len(failed) <= AGAIN_LIMIT and all("::" in test for test in failed):
        _, lines = run_pytest(python, failed, directory, engine, ())
        still = {line["test"] for line in lines if line.get("outcome") == "failed"}
        finished = {line["test"] for line in lines if line["event"] == "finish"}
        for test in finished - still:
            outcomes[test] = ("passed", AGAIN)
    return outcomes


def check_sdk(line, engine):
    is_ours = engine is not None and pathlib.Path(line["file"]).is_relative_to(engine.resolve())
    if engine is not None and not (is_ours and line["engine_is_on"]):
        raise SystemExit(f"compat: the tests did not get Carafe's SDK but {line['file']}")
    if engine is None and "site-packages" not in line["file"]:
        raise SystemExit(f"compat: the control did not get the official SDK but {line['file']}")


def run_pytest(python, selection, directory, engine, done):
    with tempfile.TemporaryDirectory(prefix="carafe-compat-") as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "doorbell").write_bytes(bytes(4096))
        outcomes = scratch / "outcomes"
        outcomes.touch()
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OTEL_", "CARAFE_", "PYTHON", "LD_PRELOAD"))
        }
        environment |= {
            "COMPAT_OUTCOMES": str(outcomes),
            "COMPAT_DONE": "\n".join(sorted(done)),
            # Some tests start `python`.
            "PATH": f"{pathlib.Path(python).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(HERE / "plugin"),
        }
        if engine is not None:
            environment["CARAFE_RING_DIR"] = str(scratch)
            # The tests activate the official packages; ours must not be seen beside them.
            environment["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = "*"
            environment["PYTHONPATH"] = f"{engine}{os.pathsep}{HERE / 'plugin'}"
        command = [python, "-m", "pytest", "-q", "-p", "outcomes", "-p", "no:cacheprovider"]
        command += ["--continue-on-collection-errors", "--timeout", str(TEST_TIMEOUT_S)]
        command += selection
        log = scratch / "log"
        with open(log, "wb") as output:
            try:
                status = subprocess.run(
                    command,
                    cwd=directory,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    timeout=SUITE_TIMEOUT_S,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                status = "a timeout"
        if os.environ.get("COMPAT_LOGS"):
            side = "control" if engine is None else "carafe"
            name = f"{pathlib.Path(directory).name}-{side}.log"
            with open(pathlib.Path(os.environ["COMPAT_LOGS"], name), "ab") as kept:
                kept.write(log.read_bytes())
        lines = [json.loads(line) for line in outcomes.read_text("utf-8").splitlines()]
        if not any(line["event"] == "sdk" for line in lines):
            raise SystemExit(
                f"compat: {directory}: pytest did not start\n{log.read_text()[-3000:]}"
            )
        return status, lines


def summary(suite, control, carafe, white_boxes):
    """The machine-readable result of a suite. A test that did not run with us has failed."""

    def counts(outcomes):
        values = [outcome for outcome, _ in outcomes.values()]
        return {key: values.count(key) for key in ("passed", "failed", "skipped")}

    def is_white(test):
        return re.sub(r"\[.*", "", test) in white_boxes

    project, release = suites.distribution(suite)
    result = {"sdist": f"{project} {release}", "control": counts(control)}
    result["control_failures"] = {
        test: message for test, (outcome, message) in control.items() if outcome == "failed"
    }
    result["control_again"] = [test for test, (_, note) in control.items() if note == AGAIN]
    if carafe is None:
        return result
    result["carafe_again"] = [test for test, (_, note) in carafe.items() if note == AGAIN]
    sound = [test for test, (outcome, _) in control.items() if outcome == "passed"]
    failures = {
        test: carafe.get(test, ("failed", "did not run"))[1]
        for test in sound
        if carafe.get(test, ("failed",))[0] != "passed"
    }
    black = [test for test in sound if not is_white(test)]
    result["carafe"] = counts(carafe)
    result["failures"] = failures
    result["sound"] = len(sound)
    result["black_box"] = len(black)
    result["black_box_failures"] = sum(test in failures for test in black)
    return result


def reasons_of(suite):
    """The listed failures of a suite: (pattern, reason)."""
    listed = tomllib.loads(REASONS.read_text("utf-8")).get(suite, [])
    return [(pattern, entry["reason"]) for entry in listed for pattern in entry["tests"]]


def untruths(suite, result):
    """Where the list of reasons does not tell the truth about a result."""
    listed = reasons_of(suite)
    failures = result.get("failures", {})
    for test, message in failures.items():
        if not any(table.matches(pattern, test) for pattern, _ in listed):
            yield f"{suite}: {test} fails and is not listed: {message}"
    for pattern, _ in listed:
        if not any(table.matches(pattern, test) for test in failures):
            yield f"{suite}: {pattern} is listed and does not fail"


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/compat-python", description=__doc__)
    parser.add_argument("suite", nargs="*", help=f"of {' '.join(suites.ALL)}; default: all")
    parser.add_argument("--engine", type=pathlib.Path, help="an engine directory that is built")
    parser.add_argument("--control", action="store_true", help="the official SDK alone")
    parser.add_argument(
        "--quick", action="store_true", help="take the control's outcomes from the last full run"
    )
    parser.add_argument(
        "--write", action="store_true", help="write results.json and docs/compatibility-python.md"
    )
    options = parser.parse_args()
    for suite in options.suite:
        if suite not in suites.ALL:
            parser.error(f"no suite {suite!r}")
    return options


def main():
    options = arguments()
    cache = cache_directory()
    python = prepare(cache)
    engine = None
    if not options.control:
        engine = (options.engine or engine_directory()).resolve()
    way = (HERE / "plugin/outcomes.py").read_bytes() + (HERE / "run.py").read_bytes()
    way = hashlib.sha256(way).hexdigest()[:8]
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    faults = []
    for suite in options.suite or suites.ALL:
        directory = fetch(cache, python, *suites.distribution(suite))
        kept = cache / f"control-{suite}-{way}.json"
        if options.quick and kept.exists():
            control = {test: tuple(value) for test, value in json.loads(kept.read_text()).items()}
        else:
            control = run_suite(python, suite, directory, None)
            kept.write_text(json.dumps(control))
        carafe = run_suite(python, suite, directory, engine) if engine else None
        result = summary(suite, control, carafe, suites.white_boxes(suite, directory))
        results[suite] = result
        print(table.line(suite, result), flush=True)
        for test, message in result.get("failures", {}).items():
            known = any(table.matches(pattern, test) for pattern, _ in reasons_of(suite))
            print(f"    {'known ' if known else ''}failure: {test}: {message}", flush=True)
        faults += untruths(suite, result) if engine else []
    if options.write:
        order = [suite for suite in suites.ALL if suite in results]
        results = {suite: results[suite] for suite in order}
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=False) + "\n", "utf-8")
        DOCUMENT.write_text(table.document(results, reasons_of), "utf-8")
    print()
    for fault in faults:
        print(f"compat: {fault}")
    told = sum(len(results[suite].get("failures", {})) for suite in results)
    print(f"compat: {len(faults)} untruths in reasons.toml, {told} failures in all results")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
