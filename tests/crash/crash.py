"""The crash suite of the embedded store. See README.md here."""

import argparse
import os
import pathlib
import sys
import tempfile

import damage
import full
import kills

SCENARIOS = {"kills": kills.run, "damage": damage.run, "full": full.run}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="kills")
    parser.add_argument("--damages", type=int, default=40, help="damaged files")
    parser.add_argument("--seed", type=int, default=1, help="everything random follows from it")
    parser.add_argument("--only", choices=SCENARIOS, help="one scenario")
    parser.add_argument("--directory", help="where data goes, by default a temporary directory")
    options = parser.parse_args()
    options.carafe = os.environ["CARAFE"]
    failed = []
    with tempfile.TemporaryDirectory(prefix="carafe-crash-", dir=options.directory) as place:
        options.directory = pathlib.Path(place)
        options.again = [sys.executable, __file__, "--seed", str(options.seed)]
        options.again += ["--directory", place]
        for name, scenario in SCENARIOS.items():
            if options.only in (None, name) and scenario(options):
                failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "crash suite: all that ran holds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
