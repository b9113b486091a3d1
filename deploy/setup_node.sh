#!/usr/bin/env bash
# Prepares one node, again and again if need be: the pinned project in /opt/firm/.venv, its tools on PATH.
set -euo pipefail
cd /opt/firm
make setup
mkdir -p ~/.ray
install -m 600 /opt/firm-token ~/.ray/auth_token
# Ray's launcher runs `ray` through ~/.bashrc; the first line counts, since some files return early.
line='export PATH=/opt/firm/.venv/bin:$PATH RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 # firm'
touch ~/.bashrc
{ printf '%s\n' "$line"; grep -v ' # firm$' ~/.bashrc || true; } > ~/.bashrc.firm
mv ~/.bashrc.firm ~/.bashrc
