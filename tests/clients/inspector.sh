#!/bin/sh
# The Inspector's command line: strict about schemas, both eras over HTTP, and by command.
# Called by run.sh, which sets NODE and NODE_MODULES.
set -eu

# inspect DOOR ERA ARGUMENTS...: lists strictly and calls one tool.
inspect() {
    door=$1 era=$2
    shift 2
    for method in "tools/list --strict" "tools/call --tool-name test_simple_text"; do
        # shellcheck disable=SC2086 # the method and its options are words
        said=$(timeout 60 "$NODE" "$NODE_MODULES/@modelcontextprotocol/inspector/clients/launcher/build/index.js" --cli "$@" --method $method --format json 2>&1) ||
            fail "$door $era: $method: $(printf '%s' "$said" | cut -c1-300 | head -5)"
        case $said in
        *test_simple_text* | *"This is a simple text response for testing."*) ;;
        *) fail "$door $era: $method said $(printf '%s' "$said" | cut -c1-300 | head -5)" ;;
        esac
    done
    echo "ok inspector $door $era"
}

fail() {
    echo "not ok inspector $1" >&2
    exit 1
}

if [ -n "${TOOLHOST_URL:-}" ]; then
    for era in legacy modern; do
        inspect http $era "$TOOLHOST_URL" --transport http --protocol-era $era \
            --header "Authorization: Bearer $TOOLHOST_TOKEN"
    done
fi
if [ -n "${TOOLHOST_STDIO:-}" ]; then
    # shellcheck disable=SC2086 # a command line
    inspect stdio legacy $TOOLHOST_STDIO
fi
