#!/bin/sh
# One host, one hostile caller that does its worst in every way at once, and one honest caller beside it
# on every door: what the honest one's calls take quiet and beside the attacks, and what the host holds.
# It fails when an honest call fails or when the host goes beyond a bound that tests/hostile_caller.py
# states; tests/hostile_attacks.py has the attacks.
#
#   tests/hostile_caller.sh                 # half an hour
#   tests/hostile_caller.sh 20              # 20 seconds
#   tests/hostile_caller.sh 20 --json       # the figures for programs
#   tests/hostile_caller.sh 20 --only big-messages,door-places
#
# TOOLHOST is the binary; by default the release build of this checkout. The attacks on the Unix socket
# are those of another user, and so need root.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cd "$root"
if [ -z "${TOOLHOST:-}" ]; then
    cargo build --quiet --release
    TOOLHOST=$target/release/toolhost
fi
# Guests of the two generations of WASI are built apart, each with the features that it asks for.
guests() { cargo build --quiet --profile guest --target wasm32-wasip2 "$@"; }
guests --package guest-everything --package guest-rogue
guests --package guest-wasi3
export PYTHONDONTWRITEBYTECODE=1 TOOLHOST GUESTS="$target/wasm32-wasip2/guest"
[ $# -gt 0 ] || set -- 1800
exec python3 "$root/tests/hostile_caller.py" "$@"
