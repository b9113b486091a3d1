#!/usr/bin/env bash
# Starts a compute node's Ray and joins the head given as the first argument.
set -euo pipefail
. /opt/firm/deploy/env.sh
exec ray start --address="$1:6379" --labels=firm/role=compute
