# Sourced by the scripts: where caches live and which tool versions are used.
CARAFE_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/carafe"
CARGO_DENY_VERSION=0.20.2
PATH="$CARAFE_CACHE/tools/bin:$PATH"
export CARAFE_CACHE PATH
