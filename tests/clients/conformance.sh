#!/bin/sh
# Runs the official conformance suite, both dated sets of requirements, against a running host
# that serves the `everything` fixture:
#
#   TOOLHOST_URL=http://127.0.0.1:7420/mcp TOOLHOST_TOKEN=... tests/clients/conformance.sh [DIR]
#
# DIR gets the results (default: a folder that is removed). Exit 0 when everything passes that is
# not in conformance-<revision>.yml, and everything in there fails.
set -eu

: "${TOOLHOST_URL:?is the URL of a running host}" "${TOOLHOST_TOKEN:?is the token of one of its callers}"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/install.sh"
need npm
suite=$NODE_MODULES/@modelcontextprotocol/conformance/dist/index.js

work=$(mktemp -d)
proxy=
# The proxy ends with its standard input; the kill is for a proxy that does not.
trap 'exec 9>&-; [ -z "$proxy" ] || kill "$proxy" 2>/dev/null || true; rm -rf "$work"' EXIT
results=${1:-$work/results}

# The suite cannot send a token.
mkfifo "$work/stdin"
"$NODE" "$here/bearer-proxy.mjs" <"$work/stdin" >"$work/url" &
proxy=$!
exec 9>"$work/stdin"
tries=0
until [ -s "$work/url" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 100 ] && kill -0 "$proxy" || { echo "the proxy did not start" >&2; exit 1; }
    sleep 0.1
done
url=$(cat "$work/url")

failed=0
for revision in 2026-07-28 2025-11-25; do
    log=$work/$revision.log
    if "$NODE" "$suite" server --url "$url" --requirements "$revision" -o "$results/$revision" \
        --expected-failures "$here/conformance-$revision.yml" >"$log" 2>&1; then
        echo "ok conformance $revision: $(grep '^Total:' "$log" | tail -1)"
    else
        # A crash prints its minified source: cut it.
        sed -n '/=== SUMMARY/,$p' "$log" | cut -c1-300 >&2
        echo "not ok conformance $revision" >&2
        failed=1
    fi
done
exit $failed
