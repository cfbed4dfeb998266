#!/usr/bin/env bash
# Fuzzes one parser for some minutes: tests/fuzz/run.sh <target> <minutes>
# Prints tries and findings every half minute and at its end. It ends with 1 when there is a finding,
# which is kept as a file: mend the parser and put the file into tests/fuzz/corpus/<target>.
set -euo pipefail
cd "$(dirname "$0")/../.."

targets=(manifest lock lines results schemas requests paths bodies queries ledger components cursors
  values commands docs wishes programs cases)
if [[ $# -ne 2 || ! " ${targets[*]} " == *" $1 "* || ! $2 =~ ^[0-9]+$ ]]; then
  echo "usage: $0 <target> <minutes>; targets: ${targets[*]}" >&2
  exit 2
fi
declare -A file=([manifest]=manifest [lock]=manifest [lines]=json [results]=json [schemas]=json
  [requests]=http [paths]=http
  [bodies]=content [queries]=content [ledger]=ledger [components]=others [cursors]=others
  [values]=values [commands]=values
  [docs]=authors [wishes]=authors [programs]=authors [cases]=authors)

found="${CARGO_TARGET_DIR:-target}/fuzz-findings"
status=0
TOOLHOST_FUZZ_SECONDS=$(($2 * 60)) \
  cargo test --package toolhost --test all -- --exact "fuzz::${file[$1]}::$1" --nocapture || status=1
# A try that ended the whole process left its input here.
if [[ -e "$found/running-$1" ]]; then
  mv "$found/running-$1" "$found/$1-$(date +%s)"
  status=1
fi
[[ $status -eq 0 ]] || echo "fuzz $1: look into $found" >&2
exit $status
