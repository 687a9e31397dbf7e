#!/usr/bin/env bash
# Sets a machine up and runs the main job: builds memtrace and traces a
# program that leaks. Arguments go to `memtrace demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"

scripts/install.sh build
cargo build --release --locked --package tracer
memtrace="${CARGO_TARGET_DIR:-target}/release/memtrace"
if [ "$(id -u)" = 0 ]; then
    exec "$memtrace" demo "$@"
fi
exec sudo "$memtrace" demo "$@"
