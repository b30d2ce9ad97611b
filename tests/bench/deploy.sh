#!/usr/bin/env bash
# sdp against the plain shell pipeline that does the same, interleaved, both warm.
#
#   tests/bench/deploy.sh [ROUNDS]
#
# Needs git, go, curl, docker and a release build. SDP names another binary. Prints medians in
# milliseconds for a deployment with no change and for one with a changed line.
set -euo pipefail

rounds=${1:-10}
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
sdp=${SDP:-$repo/target/release/sdp}
dir=$(mktemp -d)
name=bench-$$
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 CGO_ENABLED=0
unset "${!SDP_@}" 2>/dev/null || true

cleanup() {
  for repository in "$name" "$name-inner"; do
    docker ps -aq --filter "label=sdp.repository=$repository" | xargs -r docker rm -f >/dev/null
  done
  docker rm -f "$name-shell" >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap cleanup EXIT

git init -q --bare "$dir/origin.git"
git -C "$dir/origin.git" symbolic-ref HEAD refs/heads/main
git clone -q "$dir/origin.git" "$dir/source" 2>/dev/null
cp -R "$repo/examples/hello/." "$dir/source"
push() {
  git -C "$dir/source" add -A
  git -C "$dir/source" -c user.name=bench -c user.email=bench@example.com commit -qm "$1"
  git -C "$dir/source" push -q origin HEAD:main
}
push first
git clone -q "$dir/origin.git" "$dir/shell"
git clone -q "$dir/origin.git" "$dir/$name"
git clone -q "$dir/origin.git" "$dir/$name-inner"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
shell_port=$(free_port)
sdp_port=$(free_port)

by_sdp() {
  "$sdp" deploy "$dir/$name" --branch main --image builtin -p "127.0.0.1:$sdp_port:8080" -q
}
by_sdp_without_port() {
  "$sdp" deploy "$dir/$name-inner" --branch main --image builtin -q
}
image() { docker images -q sdp-builtin | head -1; }
by_shell() {
  cd "$dir/shell"
  git fetch -q && git checkout -q main && git pull -q && go build -o app-shell .
  docker rm -f "$name-shell" >/dev/null 2>&1 || true
  docker run -d --name "$name-shell" -p "127.0.0.1:$shell_port:8080" -v "$dir/shell:/src" -w /src \
    --restart unless-stopped "$image" /src/app-shell >/dev/null
  until curl -fs "http://127.0.0.1:$shell_port/" >/dev/null; do :; done
}

# time_of COMMAND: its wall-clock time in milliseconds.
time_of() {
  local begun
  begun=$(date +%s%N)
  ("$@")
  echo $((($(date +%s%N) - begun) / 1000000))
}
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : int((v[NR / 2] + v[NR / 2 + 1]) / 2) }'; }

by_sdp
by_sdp_without_port
image=$(image)
by_shell

for change in none line; do
  for way in by_shell by_sdp by_sdp_without_port; do : >"$dir/$way"; done
  for round in $(seq "$rounds"); do
    if [ "$change" = line ]; then
      sed -i "s/^const greeting = .*/const greeting = \"hello $round\"/" "$dir/source/main.go"
      push "round $round"
    fi
    time_of by_shell >>"$dir/by_shell"
    time_of by_sdp >>"$dir/by_sdp"
    if [ "$change" = line ]; then
      sed -i "s/^const greeting = .*/const greeting = \"hello $round again\"/" "$dir/source/main.go"
      push "round $round again"
    fi
    time_of by_sdp_without_port >>"$dir/by_sdp_without_port"
  done
  shell=$(median <"$dir/by_shell")
  printf 'changed: %s, %d rounds\n' "$change" "$rounds"
  for way in by_shell by_sdp by_sdp_without_port; do
    ms=$(median <"$dir/$way")
    printf '  %-20s %5d ms  %s of the shell\n' "$way" "$ms" "$(awk -v a="$ms" -v b="$shell" 'BEGIN { printf "%.2f", a / b }')"
  done
done
