#!/bin/sh
# Mixed hostile load on one host, for as many minutes as asked for, and what the host holds at the
# start, every minute and at the end: resident memory, of it what no file backs, descriptors,
# threads. It fails when the end is far from the start, when an honest call fails, or when a call
# has an end that nobody foresaw.
#
#   tests/soak.sh            # 30 minutes
#   tests/soak.sh 2          # 2 minutes
#
# TOOLHOST is the binary; by default the release build of this checkout.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cd "$root"
if [ -z "${TOOLHOST:-}" ]; then
    cargo build --quiet --release
    TOOLHOST=$target/release/toolhost
fi
cargo build --quiet --profile guest --target wasm32-wasip2 --package guest-everything --package guest-rogue

work=$(mktemp -d)
host=
trap '[ -z "$host" ] || { kill "$host" && wait "$host"; } 2>/dev/null || true; rm -rf "$work"' EXIT
cat >"$work/toolhost.toml" <<END
schema = 1

[host]
state = "state"
agents = ["unix:doors/agent.sock"]
concurrency = 128
queue = 128

[tool.test]
component = "$target/wasm32-wasip2/guest/everything.wasm"

[tool.rogue]
component = "$target/wasm32-wasip2/guest/rogue.wasm"
log = "info"
limits = { concurrency = 100, deadline = "2s", fuel = 100_000_000_000, output = "1MiB" }

[tool.rogue.dir.notes]
host = "notes"
guest = "/notes"
access = "read-write"
END
mkdir "$work/notes"
"$TOOLHOST" --manifest "$work/toolhost.toml" lock >/dev/null
"$TOOLHOST" --manifest "$work/toolhost.toml" serve 2>"$work/log" &
host=$!
tries=0
until grep -q 'functions, ledger segment' "$work/log"; do
    tries=$((tries + 1))
    [ "$tries" -le 600 ] && kill -0 "$host" || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
python3 "$root/tests/soak.py" "$host" "$work/doors/agent.sock" "${1:-30}"
"$TOOLHOST" --manifest "$work/toolhost.toml" ledger verify
