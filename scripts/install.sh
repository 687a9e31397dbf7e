#!/usr/bin/env bash
# Installs what is missing, by package name (Debian 12 and later).
# usage: scripts/install.sh build|ebpf|test ...
set -euo pipefail

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

packages() {
    local missing=()
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ "${#missing[@]}" = 0 ] && return
    echo "installing: ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# A program that may be there without its package.
program() { command -v "$1" >/dev/null || packages "$2"; }

build() {
    program cc gcc
    dpkg -s libc6-dev >/dev/null 2>&1 || packages libc6-dev
    if ! command -v cargo >/dev/null; then
        packages rustup
        rustup default stable
    fi
}

ebpf() {
    build
    packages rustc-web rust-web-src llvm-22-dev libpolly-22-dev zlib1g-dev libzstd-dev
    command -v bpf-linker >/dev/null && return
    echo "installing: bpf-linker"
    LLVM_SYS_221_PREFIX=/usr/lib/llvm-22 RUSTFLAGS="-L native=/usr/lib/llvm-22/lib" \
        cargo install --quiet bpf-linker --version 0.13.0 --no-default-features --features llvm-22
}

tests() {
    build
    packages g++ gdb bpftool sqlite3 nginx-light redis-server procps util-linux binutils
    program node nodejs
    program python3 python3
}

for group in "$@"; do
    case "$group" in
        build) build ;;
        ebpf) ebpf ;;
        test) tests ;;
        *) echo "scripts/install.sh build|ebpf|test ..." >&2; exit 2 ;;
    esac
done
