#!/usr/bin/env bash
# Installs what is missing, by package name (written for Debian 12).
# usage: scripts/install.sh build|ebpf|test|vm ...
#   build   what `cargo build` needs
#   ebpf    what `cargo xtask ebpf` needs: a compiler with its library source, and bpf-linker
#   test    what scripts/test.sh needs besides
#   vm      what `cargo xtask vm` needs besides: QEMU, and what virtme-ng calls
set -euo pipefail
export PATH="$HOME/.cargo/bin:$PATH" DEBIAN_FRONTEND=noninteractive

fail() { echo "scripts/install.sh: $*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo --preserve-env=DEBIAN_FRONTEND "$@"
    fi
}

has() { command -v "$1" >/dev/null; }

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# Whether the package lists know a version of it.
offered() { apt-cache show "$1" >/dev/null 2>&1; }

apt_install() { as_root apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null; }

packages() {
    local missing=()
    for package in "$@"; do
        installed "$package" || missing+=("$package")
    done
    [ "${#missing[@]}" = 0 ] && return
    has apt-get || fail "install these by hand, this is no Debian: ${missing[*]}"
    echo "installing: ${missing[*]}"
    # Package lists may be missing or out of date; most often they are not.
    apt_install "${missing[@]}" 2>/dev/null && return
    update
    apt_install "${missing[@]}"
}

update() { as_root apt-get update -qq </dev/null; }

# A program that may be there without its package.
program() { has "$1" || packages "$2"; }

# Without rustup, Debian's own newest Rust will do: it follows Firefox's needs.
build() {
    program cc gcc
    packages libc6-dev
    has cargo && return
    offered cargo-web || update
    offered cargo-web || fail "cargo is missing: see https://rustup.rs (Rust 1.95 or later)"
    packages cargo-web rustc-web
}

ebpf() {
    build
    if ! has apt-get || ! { offered rustc-web || { update && offered rustc-web; }; }; then
        has rustup || fail "the eBPF object needs rustup's nightly: see https://rustup.rs"
        rustup toolchain install nightly --profile minimal --component rust-src
        has bpf-linker || cargo install --quiet --locked bpf-linker
        return
    fi
    packages rustc-web rust-web-src llvm-22-dev libpolly-22-dev zlib1g-dev libzstd-dev
    has bpf-linker && return
    echo "installing: bpf-linker"
    # bpf-linker links LLVM by C++.
    program c++ g++
    LLVM_SYS_221_PREFIX=/usr/lib/llvm-22 RUSTFLAGS="-L native=/usr/lib/llvm-22/lib" \
        cargo install --quiet --locked bpf-linker --version 0.13.0 --no-default-features --features llvm-22
}

tests() {
    build
    packages g++ gdb bpftool openssl sqlite3 nginx-light redis-server procps util-linux binutils iproute2 \
        protobuf-compiler golang-github-google-pprof-dev \
        musl-tools libjemalloc2 libjemalloc-dev libtcmalloc-minimal4 libgoogle-perftools-dev libmimalloc2.0
    program go golang-go
    program prometheus prometheus
    program node nodejs
    program chromium chromium
    program npm npm
    program python3 python3
    component fmt rustfmt rustfmt-web
    component clippy clippy rust-web-clippy
}

vm() {
    build
    packages qemu-system-x86 busybox-static udev kmod file python3-venv zstd gpgv
}

# A subcommand of cargo: its name, rustup's, Debian's.
component() {
    cargo "$1" --version >/dev/null 2>&1 && return
    if has rustup; then
        rustup component add "$2"
    else
        packages "$3"
    fi
}

[ "$#" -gt 0 ] || fail "which of: build ebpf test vm?"
for group in "$@"; do
    case "$group" in
        build) build ;;
        ebpf) ebpf ;;
        test) tests ;;
        vm) vm ;;
        *) fail "no group $group; there are build, ebpf, test and vm" ;;
    esac
done
