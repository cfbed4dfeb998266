#!/bin/sh
# Runs every official client against a running host that serves the `everything` fixture. Each
# lists the tools and calls two, over each door and in each era that it speaks.
#
#   TOOLHOST_URL=http://127.0.0.1:7420/mcp TOOLHOST_TOKEN=... \
#   TOOLHOST_SOCKET=.toolhost/agents/agent.sock TOOLHOST_STDIO="toolhost serve --stdio" \
#       tests/clients/run.sh [DIR]
#
# DIR is where the clients are installed (default ~/.cache/toolhost-clients). A door without its
# variable is left out. One line "ok <client> <door> <era>" per success; exit 1 at a failure.
set -eu

[ -z "${1:-}" ] || export TOOLHOST_CLIENTS="$1"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/install.sh"
need npm mcp2 mcp1 mcp1_6 fastmcp
export NODE NODE_MODULES TOOLHOST_NODE_MODULES="$NODE_MODULES" PYTHONDONTWRITEBYTECODE=1

failed=0
attempt() { "$@" || failed=1; }
attempt "$CLIENTS/mcp2/bin/python" "$here/mcp2.py"
attempt "$CLIENTS/mcp1/bin/python" "$here/mcp1.py"
attempt "$CLIENTS/mcp1_6/bin/python" "$here/mcp1_6.py"
attempt "$CLIENTS/fastmcp/bin/python" "$here/fastmcp_client.py"
attempt "$NODE" "$here/ts2.mjs"
attempt "$NODE" "$here/ts1.mjs"
attempt "$NODE" "$here/ts1_11.mjs"
attempt "$here/inspector.sh"
exit $failed
