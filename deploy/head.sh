#!/usr/bin/env bash
# Starts the core node's Ray: head.sh [ROLE...]. Its address is the one in the cluster's file or, with a provider
# that assigns it, the one from which the node reaches others.
# The dashboard listens on loopback only: reach it with `ray dashboard cluster.yaml`.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
bootstrap=$HOME/ray_bootstrap_config.yaml
address=$(python -c '
import sys, yaml
print(yaml.safe_load(open(sys.argv[1]))["provider"].get("head_ip", ""))' "$bootstrap")
roles=$(node_roles "$@")
if [ -n "$address" ]; then
    # Version 2 of the autoscaler counts an on-premises head as one of its workers, and starts one too few.
    export RAY_enable_autoscaler_v2=0
    # A worker whose Ray has died is started again after 10 s instead of 30.
    export AUTOSCALER_HEARTBEAT_TIMEOUT_S=10
fi
start_ray --head ${address:+--node-ip-address="$address"} --port=6379 --dashboard-host=127.0.0.1 \
    --resources="$roles" --autoscaling-config="$bootstrap"
