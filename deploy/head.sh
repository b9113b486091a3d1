#!/usr/bin/env bash
# Starts the core node's Ray. The dashboard listens on loopback only: reach it with `ray dashboard cluster.yaml`.
set -euo pipefail
. /opt/firm/deploy/env.sh
export RAY_enable_autoscaler_v2=0 # version 2 counts the head as one of the local workers and starts one too few
address=$(awk '/^  head_ip:/ {print $2}' /opt/firm/cluster.yaml)
exec ray start --head --node-ip-address="$address" --port=6379 --dashboard-host=127.0.0.1 \
    --labels=firm/role=core --autoscaling-config="$HOME/ray_bootstrap_config.yaml"
