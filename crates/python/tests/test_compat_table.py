"""docs/compatibility-python.md says what the last run of the official suites gave, and why."""

import json
import pathlib
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).parents[3]

CHECK = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import run, table
results = json.loads(run.RESULTS.read_text("utf-8"))
faults = [fault for suite, result in results.items() for fault in run.untruths(suite, result)]
if run.DOCUMENT.read_text("utf-8") != table.document(results, run.reasons_of):
    faults.append("docs/compatibility-python.md is not what results.json gives")
print(json.dumps(faults))
"""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the suites' runner needs Python 3.11")
def test_the_page_the_results_and_the_reasons_agree():
    command = [sys.executable, "-B", "-c", CHECK, str(REPOSITORY / "tests/compat/python")]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert json.loads(output.splitlines()[-1]) == []
