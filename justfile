# Every task of a contributor. `just` lists them; CI runs `just test`'s script.

_default:
    @just --list

# Check and install what the tests need
setup:
    scripts/setup

# Format all code
fmt:
    cargo fmt --all
    npm --prefix web run format

# Lint all code and the dependency tree
lint:
    cargo clippy --workspace --all-targets -- -D warnings
    cargo deny check bans licenses sources
    npm --prefix web run check

# Known vulnerabilities in dependencies (downloads the advisory database)
audit:
    cargo deny check advisories

# Everything CI runs
test:
    scripts/test

# End-to-end tests only, for example `just e2e gunicorn`
e2e *filter:
    cargo test -p carafe-e2e -- {{filter}}

# One fuzz target for some seconds: a file of fuzz/fuzz_targets (nightly Rust, cargo-fuzz)
fuzz target="http1" seconds="60":
    CARAFE_COMPANIONS=stub cargo +nightly fuzz run {{target}} -- -max_len=12000 -max_total_time={{seconds}}

# Loom, miri and all fuzz targets, each for some seconds (docs/proofs.md)
proofs seconds="60":
    scripts/proofs {{seconds}}

# What the agent costs: the app alone against the app under carafe run
bench *args:
    bench/agent/run {{args}}

# What the store costs, beside the peers that are there (bench/store/README.md)
bench-store *args:
    bench/store/run {{args}}

# Kills, damaged files and a full disk under the embedded store (tests/crash/README.md)
crash *args:
    scripts/crash-suite {{args}}

# The web UI with live reload
ui:
    npm --prefix web run dev

# API documentation of all crates
doc:
    cargo doc --workspace --no-deps --document-private-items
