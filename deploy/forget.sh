#!/usr/bin/env bash
# After stop.sh, at the end of a cluster: removes from this host what gives access to it. The installation, the runs
# and their keys stay.
set -euo pipefail
# A head's connections to its workers outlive it by some seconds.
for socket in /tmp/ray_ssh_*/*/*; do
    [ ! -S "$socket" ] || ssh -q -o ControlPath="$socket" -O exit host 2>/dev/null || true
done
rm -rf /tmp/ray_ssh_* ~/ray_bootstrap_config.yaml ~/ray_bootstrap_key.pem ~/.ray/auth_token
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -rf .token .tls
