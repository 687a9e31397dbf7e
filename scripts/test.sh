#!/usr/bin/env bash
# Sets a machine up and passes every test: style, the eBPF object rebuilt and
# checked, unit and property tests, fuzz targets for a bounded time, and the
# suite with real eBPF on the rebuilt object, as root.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
    local started=$SECONDS
    echo "== $1"
    shift
    "$@"
    echo "   $((SECONDS - started)) s"
}

suite() {
    local object="$PWD/target/ebpf/checked.bpf.o"
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -E env "PATH=$PATH")
    "${as_root[@]}" env MEMTRACE_EBPF_OBJECT="$object" MEMTRACE_BIN="$PWD/target/debug/memtrace" \
        cargo test --locked --quiet --package tests -- --test-threads=2
}

export PATH="$HOME/.cargo/bin:$PATH"
step "install what is missing" scripts/install.sh build ebpf test
step "format" cargo fmt --all --check
step "clippy" cargo clippy --locked --quiet --workspace --exclude tracer-ebpf --all-targets -- -D warnings
step "eBPF object" cargo xtask ebpf --check
step "unit and property tests" cargo test --locked --quiet --package tracer-common --package tracer --package xtask
[ -d fuzz ] && step "fuzz targets" cargo run --locked --quiet --release --package fuzz -- all --seconds-each 5
step "build memtrace" cargo build --locked --quiet --package tracer
step "suite" suite
echo "all passed in $SECONDS s"
