#!/usr/bin/env bash
# Starts a compute node's Ray and joins the head: worker.sh HEAD [ROLE...].
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
head=$1
shift
roles=$(node_roles "$@")
start_ray --address="$head:6379" --resources="$roles"
