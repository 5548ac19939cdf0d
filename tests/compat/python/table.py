"""The results as people read them."""

import fnmatch

INTRODUCTION = """\
# The official suites on Carafe's SDK

OpenTelemetry's own tests for Python, unmodified, out of the sdists of the releases named below.
`scripts/compat-python` fetches them, runs each suite twice in one virtual environment
(`tests/compat/python/requirements.txt`), and writes this page:

- *control*: the official SDK;
- *Carafe*: the same with Carafe's engine and SDK in front. Its built-in instrumentation is off
  (`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=*`): the tests activate the official packages.

The tests make their own providers, with processors and readers in the process; spans of those are
Carafe's in Python. `crates/python/tests/test_sdk_trace.py` compares the native spans of the global
provider with them.

A test counts for the rate where the control passes it; one that did not run with Carafe has
failed. A test that fails is run once more, alone, since some depend on time; those that pass
then are named below. *Black box* counts only those tests of
the SDK's suite that use none of the official implementation's private names
(`tests/compat/python/suites.py` says how that is found out).
`tests/compat/python/results.json` has the same for programs.
"""


def matches(pattern, test):
    """Whether a line of reasons.toml stands for a test: `*` is the only special character."""
    return fnmatch.fnmatchcase(test, pattern.replace("[", "[[]"))


def rate(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


def figures(result):
    control, carafe = result["control"], result["carafe"]
    passed = result["sound"] - len(result["failures"])
    black = result["black_box"] - result["black_box_failures"]
    return control, carafe, passed, black


def line(suite, result):
    if "carafe" not in result:
        control = result["control"]
        words = ", ".join(f"{number} {outcome}" for outcome, number in control.items())
        return f"{suite}: control: {words}"
    _, _, passed, black = figures(result)
    return (
        f"{suite}: {passed} of {result['sound']} pass ({rate(passed, result['sound'])}), "
        f"black box {black} of {result['black_box']} ({rate(black, result['black_box'])})"
    )


def row(suite, result):
    control, carafe, passed, black = figures(result)
    cells = [
        suite,
        result["sdist"],
        *(str(control[key]) for key in ("passed", "failed", "skipped")),
        *(str(carafe[key]) for key in ("passed", "failed", "skipped")),
        rate(passed, result["sound"]),
        rate(black, result["black_box"]) if suite.startswith("sdk") else "",
    ]
    return f"| {' | '.join(cells)} |"


def total(name, results):
    sums = {}
    for side in ("control", "carafe"):
        for key in ("passed", "failed", "skipped"):
            sums[side, key] = sum(result[side][key] for result in results)
    sound = sum(result["sound"] for result in results)
    passed = sound - sum(len(result["failures"]) for result in results)
    black = sum(result["black_box"] for result in results)
    black_passed = black - sum(result["black_box_failures"] for result in results)
    cells = [f"**{name}**", "", *map(str, sums.values()), rate(passed, sound)]
    cells.append(rate(black_passed, black) if name == "SDK" else "")
    return f"| {' | '.join(cells)} |"


def document(results, reasons_of):
    """The whole page."""
    both = {suite: result for suite, result in results.items() if "carafe" in result}
    parts = [INTRODUCTION]
    head = [
        "| suite | sdist | control passed | failed | skipped "
        "| Carafe passed | failed | skipped | rate | black box |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    contrib = [suite for suite in both if not suite.startswith("sdk")]
    sdk = [suite for suite in both if suite.startswith("sdk")]
    rows = []
    for name, group in (("instrumentation", contrib), ("SDK", sdk)):
        rows += [row(suite, both[suite]) for suite in group]
        if group:
            rows.append(total(name, [both[suite] for suite in group]))
    parts.append("\n".join([*head, *rows]) + "\n")
    parts.append(failures_section(both, reasons_of))
    parts.append(control_section(results))
    return "\n".join(parts)


def failures_section(results, reasons_of):
    lines = ["## What fails with Carafe, and why", ""]
    rows = []
    for suite, result in results.items():
        for pattern, reason in reasons_of(suite):
            found = [test for test in result["failures"] if matches(pattern, test)]
            rows.append(f"| {suite} | `{short(pattern)}` | {len(found)} | {reason} |")
    if not rows:
        return "\n".join([*lines, "Nothing.", ""])
    lines += ["| suite | tests | number | reason |", "| --- | --- | ---: | --- |"]
    return "\n".join([*lines, *rows, "", *again_lines(results)])


def again_lines(results):
    """Tests that passed only when they were run again."""
    rows = [
        f"- {suite}, {side}: `{short(test)}`"
        for suite, result in results.items()
        for side in ("control", "carafe")
        for test in result.get(f"{side}_again", ())
    ]
    return ["Passed only when they were run again:", "", *rows, ""] if rows else []


def control_section(results):
    lines = ["## What fails on the official SDK", ""]
    rows = [
        f"| {suite} | `{short(test)}` | {cell(message)} |"
        for suite, result in results.items()
        for test, message in result["control_failures"].items()
    ]
    if not rows:
        return "\n".join([*lines, "Nothing.", ""])
    lines += ["These do not count.", "", "| suite | test | message |", "| --- | --- | --- |"]
    return "\n".join([*lines, *rows, ""])


def short(test):
    return test.removeprefix("tests/").replace("|", "\\|")


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")[:120]
