#!/usr/bin/env bash
# An author's whole day, in each language, in a folder of its own with nothing but the program and
# the language's toolchain: new, build, the functions' own tests, the cases, add, call.
#
#   tests/author.sh [rust|python|javascript ...]      all three without an argument
#
# TOOLHOST is the binary; by default the release build of this checkout. Python and JavaScript ask
# their registries for componentize-py and componentize-qjs, Rust for the SDK's dependencies.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
if [[ -z "${TOOLHOST:-}" ]]; then
  (cd "$root" && cargo build --quiet --release)
  TOOLHOST=${CARGO_TARGET_DIR:-$root/target}/release/toolhost
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The projects are strangers to this checkout: nothing of it is built into their folder.
unset CARGO_TARGET_DIR

native() {
  case $1 in
    rust) cargo test --quiet ;;
    python) python3 -m unittest ;;
    javascript) npm test --silent ;;
  esac
}

(($#)) || set -- rust python javascript
for language in "$@"; do
  printf '\n--- %s\n' "$language"
  start=$SECONDS
  name=counts_$language
  cd "$work"
  "$TOOLHOST" new "$name" --lang "$language" >/dev/null
  cd "$name"
  "$TOOLHOST" build
  native "$language"
  "$TOOLHOST" test
  printf 'schema = 1\n' >toolhost.toml
  "$TOOLHOST" add "$name.wasm"
  answer=$("$TOOLHOST" call "$name.count" '{"text": "to be or not", "phrase": "TO BE"}')
  python3 - "$answer" <<'END'
import json, sys
answer = json.loads(sys.argv[1])
expected = {"characters": 12, "words": 4, "lines": 1, "occurrences": 1}
assert answer == expected, answer
END
  printf -- '--- %s: %d s\n' "$language" $((SECONDS - start))
done
