#!/bin/sh
# Starts a host that serves the conformance fixtures and runs a command against it:
#
#   tests/clients/with_host.sh tests/clients/run.sh
#
# The command finds the doors in TOOLHOST_URL, TOOLHOST_TOKEN, TOOLHOST_SOCKET and TOOLHOST_STDIO.
# TOOLHOST is the binary; by default the release build of this checkout.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cd "$root"
if [ -z "${TOOLHOST:-}" ]; then
    cargo build --quiet --release
    TOOLHOST=$target/release/toolhost
fi
cargo build --quiet --profile guest --target wasm32-wasip2 --package guest-everything --package guest-json

work=$(mktemp -d)
host=
trap '[ -z "$host" ] || { kill "$host" && wait "$host"; } 2>/dev/null || true; rm -rf "$work"' EXIT
cat >"$work/toolhost.toml" <<END
schema = 1

[host]
state = "state"
agents = ["unix:doors/agent.sock", "http://127.0.0.1:0"]

[tool.test]
component = "$target/wasm32-wasip2/guest/everything.wasm"
log = "info"

[tool.json]
component = "$target/wasm32-wasip2/guest/json.wasm"
END
"$TOOLHOST" --manifest "$work/toolhost.toml" lock >/dev/null
"$TOOLHOST" --manifest "$work/toolhost.toml" serve 2>"$work/log" &
host=$!
tries=0
until grep -q 'functions, ledger segment' "$work/log"; do
    tries=$((tries + 1))
    [ "$tries" -le 100 ] && kill -0 "$host" || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
TOOLHOST_URL=$(sed -n 's/.*door: \(http:[^ ]*\).*/\1/p' "$work/log")
TOOLHOST_TOKEN=$(cat "$work/state/agents/token")
TOOLHOST_SOCKET=$work/doors/agent.sock
TOOLHOST_STDIO="$TOOLHOST --manifest $work/toolhost.toml serve --stdio"
export TOOLHOST_URL TOOLHOST_TOKEN TOOLHOST_SOCKET TOOLHOST_STDIO
"$@"
