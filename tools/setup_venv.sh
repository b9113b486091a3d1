#!/bin/sh
# Creates .venv in the current directory with the pinned packages and the project itself (editable).
# PYTHON names the interpreter (default python3). uv is used where it is installed; pip is enough.
set -eu

PYTHON=${PYTHON:-python3}
NEEDED="firm needs Python 3.11, 3.12 or 3.13"
SUPPORTED='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
REMEDY="Install one, or name it: make PYTHON=python3.12 <target>"

say() { printf '%s\n' "$*" >&2; }

if ! command -v "$PYTHON" >/dev/null 2>&1; then
    say "$NEEDED; there is no '$PYTHON' on this machine. $REMEDY"
    exit 1
fi
if ! "$PYTHON" -c "$SUPPORTED"; then
    say "$NEEDED; '$PYTHON' ($(command -v "$PYTHON")) is $("$PYTHON" -V 2>&1). $REMEDY"
    exit 1
fi
if ! { [ -x .venv/bin/python ] && .venv/bin/python -c "$SUPPORTED" && .venv/bin/python -m pip --version; } \
    >/dev/null 2>&1; then
    say "Creating .venv with $("$PYTHON" -V 2>&1) ..."
    if ! "$PYTHON" -m venv --clear .venv; then
        say "'$PYTHON -m venv' failed (reason above). On Debian and Ubuntu: apt install python3-venv"
        exit 1
    fi
fi

say "Installing the pinned packages into .venv (once; about 1.2 GB, a minute or a few) ..."
if command -v uv >/dev/null 2>&1 \
    && uv pip install --python .venv/bin/python --constraint constraints.txt --editable '.[dev]'; then
    :
else
    .venv/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
fi
say "Ready: .venv"
