#!/usr/bin/env bash
# Sets a machine up and passes every test: style, the eBPF object rebuilt and
# checked, unit and property tests, fuzz targets for a bounded time, and the
# suite with real eBPF on the rebuilt object, as root. A step that fails does
# not keep the next ones from being tried; the summary tells which did.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export PATH="$HOME/.cargo/bin:$PATH"
exec </dev/null

target="${CARGO_TARGET_DIR:-$PWD/target}"
rebuilt="$PWD/target/ebpf/checked.bpf.o"
summary=()
failed=0

# step HEADLINE COMMAND…
step() {
    local headline=$1 started=$SECONDS outcome=passed
    shift
    echo "== $headline"
    "$@" || { outcome=FAILED; failed=1; }
    summary+=("$(printf '%-8s %5d s  %s' "$outcome" "$((SECONDS - started))" "$headline")")
    echo "   $outcome, $((SECONDS - started)) s"
}

style() {
    cargo clippy --locked --quiet --workspace --exclude tracer-ebpf --all-targets -- -D warnings
}

unit_tests() {
    cargo test --locked --quiet --no-fail-fast --package tracer-common --package tracer --package xtask
}

fuzz() {
    cargo run --locked --quiet --profile fuzz --package fuzz -- all --seconds-each 5
}

suite_build() {
    cargo build --locked --quiet --package tracer &&
        cargo test --locked --quiet --package tests --no-run
}

suite() {
    [ -e "$rebuilt" ] || { echo "no rebuilt eBPF object, see above"; return 1; }
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -E)
    "${as_root[@]}" env "PATH=$PATH" MEMTRACE_EBPF_OBJECT="$rebuilt" MEMTRACE_BIN="$target/debug/memtrace" \
        cargo test --locked --quiet --package tests -- --test-threads=2
}

echo "== install what is missing"
scripts/install.sh build ebpf test || exit
step "format" cargo fmt --all --check
step "clippy" style
step "eBPF object" cargo xtask ebpf --check
step "unit and property tests" unit_tests
[ -d fuzz ] && step "fuzz targets" fuzz
step "suite: build" suite_build
step "suite: real programs under real eBPF" suite

echo "== summary"
printf '%s\n' "${summary[@]}"
[ "$failed" = 0 ] && echo "all passed in $SECONDS s" || echo "FAILED after $SECONDS s"
exit "$failed"
