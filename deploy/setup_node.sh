#!/usr/bin/env bash
# Prepares one node, again and again if need be: the pinned packages in .venv, and the cluster's token.
#   setup_node.sh [PYTHON]      the interpreter for the packages, python3 by default
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
pinned=$(sha256sum <constraints.txt | cut -d ' ' -f 1)
if [ "$(cat .venv/.packages 2>/dev/null)" != "$pinned" ]; then
    PYTHON=${1:-python3} sh tools/setup_venv.sh
    printf %s "$pinned" >.venv/.packages
fi
mkdir -p -m 700 ~/.ray
install -m 600 .token ~/.ray/auth_token
# Ray's launcher runs `ray` through ~/.bashrc; the first line counts, since some files return early.
line="export PATH=$PWD/.venv/bin:\$PATH RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 # firm"
touch ~/.bashrc
{ printf '%s\n' "$line"; grep -v ' # firm$' ~/.bashrc || true; } >~/.bashrc.firm
mv ~/.bashrc.firm ~/.bashrc
