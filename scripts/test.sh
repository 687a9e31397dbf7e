#!/usr/bin/env bash
# Sets a machine up and passes every test: style, the eBPF object rebuilt and
# checked, unit and property tests, fuzz targets for a bounded time, and the
# suite with real eBPF on the rebuilt object, as root; then parts of the suite
# on Debian's other kernels, emulated. A step that fails does not keep the next
# ones from being tried; the summary tells which did.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export PATH="$HOME/.cargo/bin:$PATH"
exec </dev/null

target="${CARGO_TARGET_DIR:-$PWD/target}"
rebuilt="$PWD/target/ebpf/checked.bpf.o"
# Always the same: other packages have other features, and are compiled anew.
workspace=(--workspace --exclude tracer-ebpf)
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
    cargo clippy --locked --quiet "${workspace[@]}" --all-targets -- -D warnings
}

build() {
    cargo test --locked --quiet "${workspace[@]}" --no-run && programs && cargo xtask libc
}

# What the tests run. `cargo test` leaves a memtrace of its own in the same place, which is
# not optimized.
programs() {
    cargo build --locked --quiet "${workspace[@]}" --bins --examples
}

unit_tests() {
    cargo test --locked --quiet --no-fail-fast "${workspace[@]}" --lib --bins --test file_worker
    local outcome=$?
    programs
    return "$outcome"
}

fuzz() {
    "$target/debug/fuzz" all --seconds-each 5
}

suite() {
    [ -e "$rebuilt" ] || { echo "no rebuilt eBPF object, see above"; return 1; }
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -E)
    "${as_root[@]}" env "PATH=$PATH" MEMTRACE_EBPF_OBJECT="$rebuilt" MEMTRACE_BIN="$target/debug/memtrace" \
        cargo test --locked --quiet "${workspace[@]}" --test suite -- --test-threads=2
}

# Programs with a known answer, a few of each kind: their verdicts. All of them take an
# hour: `cargo xtask corpus`.
corpus() {
    [ -e "$rebuilt" ] || { echo "no rebuilt eBPF object, see above"; return 1; }
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -E)
    "${as_root[@]}" env "PATH=$PATH" MEMTRACE_EBPF_OBJECT="$rebuilt" MEMTRACE_BIN="$target/debug/memtrace" \
        cargo xtask corpus --live --seeds 1 --jobs 2
}

# on_kernel SERIES PREEMPT OBJECT TEST…: tests of the suite in QEMU, with the
# programs that the host's run of the suite built.
on_kernel() {
    local kernel=$1 preempt=$2 object=$3 binary
    shift 3
    [ -e "$object" ] || { echo "no eBPF object $object, see above"; return 1; }
    binary=$(cargo test --locked "${workspace[@]}" --test suite --no-run --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\/suite-[^"]*\)".*/\1/p')
    cargo xtask vm --kernel "$kernel" ${preempt:+--preempt "$preempt"} -- \
        env MEMTRACE_MUST_TRACE=1 MEMTRACE_PREBUILT=1 MEMTRACE_PATIENCE=10 MEMTRACE_EBPF_OBJECT="$object" \
        MEMTRACE_BIN="$target/debug/memtrace" ${expect:+"$expect"} "$binary" --test-threads=2 "$@"
}

flawed="$PWD/target/ebpf/per-cpu-scratch.bpf.o"

# The same where sockets do not matter: what they need takes seconds at each start there.
without_sockets() {
    expect=${expect:-MEMTRACE_NO_SOCKETS=1} on_kernel "$@"
}

# An emulated kernel keeps one processor busy: two of them at a time, the longest beside all
# others. What is begun here has its own step later, which waits for it.
begun="$target/vm-beside.log"
begin() {
    "$@" >"$begun" 2>&1 &
    begun_job=$!
}

end_of_begun() {
    wait "$begun_job"
    local outcome=$?
    cat "$begun"
    return "$outcome"
}

# What must be found where a program can be preempted in its midst.
corruption() {
    cargo xtask ebpf --per-cpu-scratch &&
        expect=MEMTRACE_EXPECT_CORRUPTION=1 on_kernel 6.12 full "$flawed" preemption
}

# Ten thousand processes take ten minutes there, and npm's may be gone before they have probes.
# What allocator it is is nothing to the kernel: `operators` has all kinds of probes.
ledger_tests=(exact:: allocators::operators threads:: preemption mappings::storm mappings::from
    follow:: places:: unwinding::signal --skip ten_thousand --skip npm_test)
oldest_tests=(exact::every_function threads::one
    mappings::storm mappings::from follow::a_tree unwinding::signal)
# Neither fentry nor kprobe may be loaded on every machine: there both can.
socket_tests=(sockets::accounting sockets::handlers)

echo "== install what is missing"
scripts/install.sh build ebpf test vm || exit
step "format" cargo fmt --all --check
step "clippy" style
step "eBPF object" cargo xtask ebpf --check
step "build" build
step "unit and property tests" unit_tests
[ -d fuzz ] && step "fuzz targets" fuzz
step "suite: real programs under real eBPF" suite
step "corpus: verdicts on programs with a known answer" corpus
begin without_sockets 6.1 "" "$rebuilt" "${ledger_tests[@]}"
step "Linux 5.10: load, attach, count" without_sockets 5.10 "" "$rebuilt" "${oldest_tests[@]}"
step "Linux 6.12, preempt=full: stacks stay whole" without_sockets 6.12 full "$rebuilt" preemption
step "Linux 6.12, preempt=full: per-CPU scratch is found out" corruption
step "Linux 6.1: socket memory, by fentry and by kprobe" on_kernel 6.1 "" "$rebuilt" "${socket_tests[@]}"
step "Linux 6.1: ledger, allocators, mappings, children" end_of_begun

echo "== summary"
printf '%s\n' "${summary[@]}"
[ "$failed" = 0 ] && echo "all passed in $SECONDS s" || echo "FAILED after $SECONDS s"
exit "$failed"
