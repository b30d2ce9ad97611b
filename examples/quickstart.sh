#!/usr/bin/env bash
# From nothing to a deployed Go program, twice: as it is, and with one line changed.
#
#   ./examples/quickstart.sh [DIR]
#
# Needs Debian or Ubuntu, Rust, and a running container engine; sets up the rest, and says so first.
# DIR takes the git origin and the checkout (default: $XDG_CACHE_HOME/sdp-quickstart). Safe to run again.
# SDP_IMAGE names a base image to use instead of alpine:3.20.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(dirname "$here")
dir=${1:-${XDG_CACHE_HOME:-${HOME:-${TMPDIR:-/tmp}}/.cache}/sdp-quickstart}
# shellcheck source=examples/install-missing.sh
. "$here/install-missing.sh"

origin=$dir/origin.git
source=$dir/source
image=alpine:3.20
name=quickstart-hello
checkout=$dir/$name

# Takes alpine:3.20 where it is or can be pulled; else the image that sdp carries within itself.
choose_image() {
  if [ -n "${SDP_IMAGE:-}" ]; then
    image=$SDP_IMAGE
  elif engine GET "/images/$image/json" >/dev/null 2>&1; then
    say "base image: $image, which is here"
  else
    say "base image: $image is not here; pulling it"
    engine POST "/images/create?fromImage=${image%:*}&tag=${image#*:}" >/dev/null 2>&1 || true
    if ! engine GET "/images/$image/json" >/dev/null 2>&1; then
      image=builtin
      say "base image: $image: alpine:3.20 cannot be pulled, and a static Go binary needs no more than what sdp carries"
    fi
  fi
}

in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The port of the last run, if that run's container still has it or nobody does; else a free one.
choose_port() {
  local answer
  port=$(cat "$dir/port" 2>/dev/null || true)
  if [ -n "$port" ] && in_use "$port"; then
    answer=$(visit 2>/dev/null || true)
    case $answer in "Hello "*) return ;; esac
    port=
  fi
  while [ -z "$port" ] || in_use "$port"; do
    port=$((20000 + RANDOM % 10000))
  done
  printf '%s\n' "$port" >"$dir/port"
}

visit() { curl -fsS --max-time 5 "http://127.0.0.1:$port/"; }

# commit MESSAGE: what changed in the work tree goes to the origin; nothing changed is fine.
commit() {
  git -C "$source" add --all
  git -C "$source" diff --cached --quiet ||
    git -C "$source" -c user.name=quickstart -c user.email=quickstart@example.com commit --quiet -m "$1"
  git -C "$source" push --quiet origin HEAD:main
}

# run COMMAND...: shows the command, then runs it.
run() {
  printf '\n$ %s\n' "${*/#"$sdp"/sdp}"
  "$@"
}

deploy() {
  run "$sdp" deploy "$checkout" --url "$origin" --branch main \
    --image "$image" --publish "127.0.0.1:$port:8080" --health-http /healthz
}

say "what is needed: git, curl, Rust, a container engine, Go"
need git git
need curl curl ca-certificates
need_rust
need_engine
mkdir -p "$dir"
need_go "$dir/go-bin"
go version
choose_image

say "building sdp (takes some minutes the first time)"
cargo build --release --locked --manifest-path "$repo/Cargo.toml"
sdp=$(cargo metadata --format-version 1 --no-deps --manifest-path "$repo/Cargo.toml" |
  sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/release/sdp
"$sdp" --version

say "a git origin made from examples/hello: $origin"
if [ ! -d "$source/.git" ]; then
  git init --quiet --bare "$origin"
  git -C "$origin" symbolic-ref HEAD refs/heads/main
  git init --quiet "$source"
  git -C "$source" remote add origin "$origin"
fi
cp -R "$here/hello/." "$source/"
commit "Greet the world"
choose_port

say 'first deployment'
deploy
run curl -fsS "http://127.0.0.1:$port/"

say "one line changes, and is pushed"
changed="Hello again from sdp, at $(date +%H:%M:%S)"
sed -i "s/^const greeting = .*/const greeting = \"$changed\"/" "$source/main.go"
git -C "$source" --no-pager diff --unified=0
commit "Greet again"

say 'second deployment'
deploy
run curl -fsS "http://127.0.0.1:$port/"
[ "$(visit)" = "$changed" ] || die "expected the new greeting: $changed"

cat <<END

It runs. Next:
  sdp=$sdp
  \$sdp status
  \$sdp logs $checkout -f     (Ctrl-C leaves the program running)
  edit $source/main.go, commit, push, and deploy it with the command above

To clean up:
  \$sdp stop $checkout
  docker rm \$(docker ps -aq --filter label=sdp.repository=$name)
  rm -r $dir
END
