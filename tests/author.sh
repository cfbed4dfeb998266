#!/usr/bin/env bash
# An author's way in each language, as a stranger walks it: new, build, test; then an operator's, in
# a fresh folder: add, lock, call. First argument: the program; it uses the package registries.
set -euo pipefail
cd "$(dirname "$0")/.."

toolhost=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/toolhost}")
[[ -x $toolhost ]] || { echo "author: there is no program at $toolhost" >&2; exit 2; }
# Cargo's folder of the projects is their own, not this checkout's.
unset CARGO_TARGET_DIR
desk=$(mktemp -d)
trap 'rm -rf "$desk"' EXIT

for language in "${@:2}" $([[ $# -gt 1 ]] || echo rust python javascript); do
  name=demo_$language start=$SECONDS
  cd "$desk"
  "$toolhost" new "$name" --lang "$language"
  "$toolhost" build "$name"
  "$toolhost" test "$name"
  mkdir "$desk/operator_$language"
  cd "$desk/operator_$language"
  cp "$desk/$name/$name.wasm" .
  "$toolhost" add "$name.wasm"
  "$toolhost" lock
  answer=$("$toolhost" call "$name.count" '{"text": "to be or", "phrase": "TO BE"}')
  python3 - "$answer" <<'PY'
import json, sys
expected = {"characters": 8, "words": 3, "lines": 1, "occurrences": 1}
if json.loads(sys.argv[1]) != expected:
    sys.exit(f"author: the call gave {sys.argv[1]}, expected was {expected}")
PY
  printf 'author: %s holds, %d s\n' "$language" $((SECONDS - start))
done
