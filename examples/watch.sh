#!/usr/bin/env bash
# A view of `sdp deploy --json` for people, made with jq: a start for a dashboard or a chat message of your own.
#
#   ./watch.sh REPO [ARGUMENTS OF sdp deploy...]     runs sdp (or $SDP) and shows what it tells
#   sdp deploy REPO --json | ./watch.sh              shows what comes in
#
# The exit code is sdp's: of the run, or as the last `status` event has it.
set -euo pipefail

command -v jq >/dev/null || {
  echo 'error: jq is missing: install it first' >&2
  exit 3
}

# Readers of the events ignore keys they do not know, and refuse a version they do not know.
read -r -d '' program <<'JQ' || true
def seconds: if . == null then "" else "\((. / 10 | round) / 100)s" end;
def indented(mark): split("\n")[] | "  \(mark) \(.)";

def problem:
  "error: \(.message) [\(.code)]",
  (.detail // [] | .[] | indented("|")),
  (.hint // empty | "  hint: \(.)");

def progress:
  if .phase == "started" then "-> \(.stage)"
  elif .phase == "output" then .line | indented("|")
  elif .phase == "finished" and .state == "" then "   ok \(.elapsed_ms | seconds)"
  elif .phase == "finished" then "   FAILED \(.elapsed_ms | seconds)"
  elif .done == null then .line | indented("-")
  else empty end;

def status:
  (.error // empty | problem),
  .state + (if .outcome then " (\(.outcome))" else "" end) + (if .elapsed_ms then " in \(.elapsed_ms | seconds)" else "" end),
  (select(.commit) | "  commit     \(.commit[0:9]) on \(.branch // "-"): \(.subject // "")"),
  (select(.container) | "  container  \(.container) \(.address // "")"),
  (.ports // [] | .[] | "  port       \(.)"),
  (select(.replaced) | "  replaced   \(.replaced)");

def show:
  if .v != 1 then "error: events of version \(.v), and this script reads version 1\n" | halt_error(2)
  elif .kind == "progress" then progress
  elif .kind == "status" then status
  elif .kind == "warning" then "warning: \(.line)", (.hint // empty | "  hint: \(.)")
  elif .kind == "log" then "\(.stream): \(.line)"
  else empty end;

foreach (inputs, null) as $event (
  1;
  if $event.kind? == "status" then $event.exit_code else . end;
  if $event == null then . as $code | "" | halt_error($code) else $event | show end
)
JQ

# Ctrl-C is for sdp; the view stays until sdp has said its last word.
view() (
  trap '' INT
  exec jq --null-input --raw-output --unbuffered "$program"
)

if [ $# = 0 ] && [ ! -t 0 ]; then
  view
elif [ $# = 0 ]; then
  echo 'usage: watch.sh REPO [ARGUMENTS OF sdp deploy...], or events on standard input' >&2
  exit 2
else
  trap : INT
  set +e
  "${SDP:-sdp}" deploy --json "$@" | view
  exit "${PIPESTATUS[0]}"
fi
