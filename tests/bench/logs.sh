#!/usr/bin/env bash
# sdp logs against docker logs: a million lines of 100 bytes, interleaved; then one line, and a reader that
# does not read.
#
#   tests/bench/logs.sh [ROUNDS]
#
# Needs git, go, python3, docker and a release build. SDP names another binary. Prints medians: wall time, the
# client's processor time and its largest resident memory; the time from a program's print to the client's output.
set -euo pipefail

rounds=${1:-5}
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
sdp=${SDP:-$repo/target/release/sdp}
dir=$(mktemp -d)
name=bench-logs-$$
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 CGO_ENABLED=0
unset "${!SDP_@}" 2>/dev/null || true
command -v docker >/dev/null || { echo "there is no docker command to compare with" >&2; exit 3; }

cleanup() {
  docker ps -aq --filter "label=sdp.repository=$name" | xargs -r docker rm -f >/dev/null
  rm -rf "$dir"
}
trap cleanup EXIT

git init -q --initial-branch=main "$dir/$name"
cd "$dir/$name"
cat >go.mod <<'GO'
module example.com/printer

go 1.19
GO
# Prints the million, and from then on the time each 100 ms.
cat >main.go <<'GO'
package main

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

func main() {
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	for i := 0; i < 1000000; i++ {
		fmt.Fprintf(out, "%099d\n", i)
	}
	out.Flush()
	for {
		time.Sleep(100 * time.Millisecond)
		fmt.Println("now", time.Now().UnixNano())
	}
}
GO
git add . && git -c user.name=Ada -c user.email=ada@example.com commit -qm "A printer"
git clone -q --bare . "$dir/origin.git"
git remote add origin "$dir/origin.git"
"$sdp" deploy "$dir/$name" --image builtin -q
# The same container with room for all of its log, whatever the engine's default is.
deployed=$(docker ps -q --filter "label=sdp.repository=$name")
image=$(docker inspect --format '{{.Image}}' "$deployed")
docker rm -f "$deployed" >/dev/null
container=$(docker run -d --log-driver json-file --log-opt max-size=1g --label "sdp.repository=$name" \
  --label "sdp.path=$dir/$name" --label sdp.deployment=bench -v "$dir/$name/.sdp/build:/src:ro" \
  "$image" "/src/app-$name")
# All of it is in the engine's log once a time is there.
(docker logs -f --tail 1 "$container" 2>&1 || true) | sed '/^now/q' >/dev/null

SDP="$sdp" CONTAINER="$container" REPO="$dir/$name" ROUNDS="$rounds" python3 - <<'PYTHON'
import os, resource, signal, statistics, subprocess, tempfile, time

sdp, container, repo = os.environ["SDP"], os.environ["CONTAINER"], os.environ["REPO"]
docker = ["docker", "logs"]
ways = {
    "docker logs": docker + [container],
    "sdp logs": [sdp, "logs", repo],
    "docker logs -f": docker + ["-f", container],
    "sdp logs -f": [sdp, "logs", "-f", repo],
    "sdp logs --json": [sdp, "logs", "--json", repo],
}


def run(command):
    """Wall and processor time in seconds and the largest resident memory in MiB, until a million lines are in a file."""
    with tempfile.TemporaryFile(dir=os.path.dirname(repo)) as out:
        begun = time.monotonic()
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        if "-f" in command:
            while os.fstat(out.fileno()).st_size < 100_000_000:
                time.sleep(0.005)
            took = time.monotonic() - begun
            child.send_signal(signal.SIGINT)
        _, code, usage = os.wait4(child.pid, 0)
        if "-f" not in command:
            took = time.monotonic() - begun
        child.returncode = code
        size = os.fstat(out.fileno()).st_size
        assert size >= 100_000_000, (command, size, child.returncode)
    return took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def latency(command, count=30):
    """From a program's print to the client's output, in milliseconds."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    times = []
    for line in child.stdout:
        now = time.time_ns()
        if line.startswith(b"now "):
            times.append((now - int(line.split()[1])) / 1e6)
        if len(times) > count:
            break
    child.send_signal(signal.SIGINT)
    child.wait()
    return statistics.median(times[1:])


def resident(command):
    """The resident memory in MiB of a client whose reader has stopped, once it grows no more."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    child.stdout.read(1000)
    now, before = 0, -1
    while now != before:
        time.sleep(1)
        with open(f"/proc/{child.pid}/status") as status:
            lines = [line.split() for line in status]
        before, now = now, next(int(line[1]) for line in lines if line[0] == "VmRSS:")
    child.kill()
    child.wait()
    return now / 1024


figures = {way: [] for way in ways}
for _ in range(int(os.environ["ROUNDS"])):
    for way, command in ways.items():
        figures[way].append(run(command))
medians = {way: [statistics.median(column) for column in zip(*rows)] for way, rows in figures.items()}
print(f"1,000,000 lines of 100 bytes to a file, {os.environ['ROUNDS']} rounds")
for way, (w, c, m) in medians.items():
    # Following is compared with following.
    wall, cpu, _ = medians["docker logs -f" if way.endswith("-f") else "docker logs"]
    print(f"  {way:16} {w:6.2f} s  {wall / w:5.2f} times as fast   cpu {c:5.2f} s  {c / cpu:4.2f} of docker's   {m:5.1f} MiB")
print("a single line")
for way, command in [("docker logs -f", docker + ["-f", "--tail", "0", container]), ("sdp logs -f", [sdp, "logs", "-f", "-n", "0", repo])]:
    print(f"  {way:16} {latency(command):6.2f} ms")
print("a reader that does not read")
for way in ["docker logs", "sdp logs", "sdp logs -f", "sdp logs --json"]:
    print(f"  {way:16} {resident(ways[way]):6.1f} MiB")
PYTHON
