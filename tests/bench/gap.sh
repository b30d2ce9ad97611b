#!/usr/bin/env bash
# The gap of a published port, seen by a client that asks every millisecond on a new connection: a
# deployment by sdp against `docker stop` + `docker start` of two containers of the same program, with
# another container kept on the bridge; interleaved.
#
#   tests/bench/gap.sh [ROUNDS]
#
# Needs git, go, docker and a release build. SDP names another binary. Prints medians in milliseconds,
# and how far `downtime_ms` is off.
set -euo pipefail

rounds=${1:-11}
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
sdp=${SDP:-$repo/target/release/sdp}
dir=$(mktemp -d)
name=gap-$$
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 CGO_ENABLED=0
unset "${!SDP_@}" 2>/dev/null || true

cleanup() {
  docker ps -aq --filter "label=sdp.repository=$name" | xargs -r docker rm -f >/dev/null
  docker rm -f "$name-a" "$name-b" "$name-beside" >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap cleanup EXIT

# The client: until SIGTERM, then the longest time without an answer, in milliseconds.
mkdir "$dir/client"
cat >"$dir/client/main.go" <<'GO'
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	enough := make(chan os.Signal, 1)
	signal.Notify(enough, syscall.SIGTERM)
	// What is sent to a container that has just ended is answered by nobody.
	client := http.Client{Timeout: 20 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	var last time.Time
	var gap time.Duration
	for range time.Tick(time.Millisecond) {
		if answer, err := client.Get(os.Args[1]); err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if err == nil {
				if last.IsZero() {
					fmt.Fprintln(os.Stderr, "ready")
				} else if since := time.Since(last); since > gap {
					gap = since
				}
				last = time.Now()
			}
		}
		select {
		case <-enough:
			if time.Since(last) < 20*time.Millisecond {
				fmt.Println(gap.Milliseconds())
				return
			}
			enough <- syscall.SIGTERM
		default:
		}
	}
}
GO
(cd "$dir/client" && go mod init example.com/client >/dev/null 2>&1 && go build -o ../ask .)

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
shell_port=$(free_port)
sdp_port=$(free_port)

# gap PORT COMMAND...: what a client of the port sees of the command.
gap() {
  local port=$1 client
  shift
  "$dir/ask" "http://127.0.0.1:$port/" >"$dir/gap" 2>"$dir/ready" &
  client=$!
  until [ -s "$dir/ready" ]; do sleep 0.01; done
  "$@"
  kill "$client"
  wait "$client"
  cat "$dir/gap"
}

git init -q --bare "$dir/origin.git"
git -C "$dir/origin.git" symbolic-ref HEAD refs/heads/main
git clone -q "$dir/origin.git" "$dir/source" 2>/dev/null
cp -R "$repo/examples/hello/." "$dir/source"
git -C "$dir/source" add -A
git -C "$dir/source" -c user.name=bench -c user.email=bench@example.com commit -qm first
git -C "$dir/source" push -q origin HEAD:main
git clone -q "$dir/origin.git" "$dir/$name"

deploy() {
  "$sdp" deploy "$dir/$name" --branch main --image builtin -p "127.0.0.1:$sdp_port:8080" -e "GREETING=$1" --json |
    sed -n 's/.*"downtime_ms":\([0-9]*\).*/\1/p' | tail -1 >>"$dir/told"
}
deploy 0
: >"$dir/told"
image=$(docker inspect --format '{{.Image}}' "$(docker ps -q --filter "label=sdp.repository=$name")")
docker run -d --name "$name-beside" -v "$dir/$name/.sdp/build:/src" -w /src "$image" "/src/app-$name" >/dev/null
for half in a b; do
  docker create --name "$name-$half" -p "127.0.0.1:$shell_port:8080" -v "$dir/$name/.sdp/build:/src" -w /src \
    --restart unless-stopped "$image" "/src/app-$name" >/dev/null
done
docker start "$name-a" >/dev/null
exchange() { docker stop "$1" >/dev/null && docker start "$2" >/dev/null; }

from=a to=b
for round in $(seq "$rounds"); do
  gap "$shell_port" exchange "$name-$from" "$name-$to" >>"$dir/shell"
  swap=$from from=$to to=$swap
  gap "$sdp_port" deploy "$round" >>"$dir/sdp"
done

median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : int((v[NR / 2] + v[NR / 2 + 1]) / 2) }'; }
shell=$(median <"$dir/shell")
ours=$(median <"$dir/sdp")
printf '%d rounds\n' "$rounds"
printf '  %-28s %5d ms\n' 'docker stop + docker start' "$shell"
printf '  %-28s %5d ms  %s of it\n' 'sdp deploy' "$ours" "$(awk -v a="$ours" -v b="$shell" 'BEGIN { printf "%.2f", a / b }')"
printf '  %-28s %5d ms  more than seen\n' 'downtime_ms' "$(paste "$dir/told" "$dir/sdp" | awk '{ print $1 - $2 }' | median)"
