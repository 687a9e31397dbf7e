#!/usr/bin/env bash
# Sets a machine up and runs the main job: builds memtrace and traces a
# program that leaks. Arguments go to `memtrace demo`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh build
export PATH="$HOME/.cargo/bin:$PATH"
cargo build --release --locked --package tracer
if [ "$(id -u)" = 0 ]; then
    exec target/release/memtrace demo "$@"
fi
exec sudo target/release/memtrace demo "$@"
