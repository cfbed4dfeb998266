#!/usr/bin/env bash
# Runs the suite and prints every row of the threat model with its result:
#
#   tests/threats.sh            all rows
#   tests/threats.sh G34 X      only those whose id begins so
#
# A row without a test that passed, and any test that failed, make the exit code 1. A row that is
# `later` says so: what it is about does not exist yet (tests/THREATS.md has the reason).
set -uo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --workspace --no-fail-fast 2>&1 | tee "$log" | grep --line-buffered -E '^(error|warning: unused|     Running)' >&2
suite=${PIPESTATUS[0]}

awk -v wanted="$*" -v suite="$suite" '
  # The rows: [G01], attack = "...", promise = "...", later = "..."
  FNR == NR {
    if (match($0, /^\[[A-Z][0-9]+\]/)) { id = substr($0, 2, RLENGTH - 2); order[++rows] = id }
    else if (sub(/^promise = "/, "")) { sub(/"$/, ""); gsub(/\\"/, "\""); promise[id] = $0 }
    else if (/^later = "/) later[id] = 1
    next
  }
  # The results: test some::path::g01_g02_name ... ok
  /^test .* \.\.\. / {
    result = $NF
    if (result == "FAILED") failed = failed "\nfailed: " $2
    name = $2; sub(/.*::/, "", name)
    parts = split(name, word, "_")
    for (i = 1; i <= parts && word[i] ~ /^[gnx][0-9]+$/; i++) {
      id = toupper(word[i])
      tests[id] = tests[id] "\n" (result == "ok" ? "pass" : "fail") " " name
    }
  }
  function shown(id,   n, all, i) {
    if (wanted == "") return 1
    n = split(wanted, all, " ")
    for (i = 1; i <= n; i++) if (index(id, toupper(all[i])) == 1) return 1
    return 0
  }
  function line(id, result, name) { printf "%-4s %-5s %-72s %s\n", id, result, substr(name, 1, 72), promise[id] }
  END {
    line("id", "", "test")
    for (r = 1; r <= rows; r++) {
      id = order[r]
      count = split(substr(tests[id], 2), found, "\n")
      if (count == 0 && later[id]) state = "later"
      else if (count == 0) state = "none"
      else state = (tests[id] ~ /\nfail /) ? "fail" : "pass"
      total[state]++
      if (!shown(id)) continue
      if (count == 0) line(id, state, "-")
      for (i = 1; i <= count; i++) line(id, substr(found[i], 1, 4), substr(found[i], 6))
    }
    printf "\n%d rows: %d pass, %d fail, %d without a test, %d later\n", rows, total["pass"], total["fail"], total["none"], total["later"]
    if (failed != "") print substr(failed, 2)
    exit (suite != 0 || total["fail"] + total["none"] > 0)
  }
' tests/cases/threats.toml "$log"
