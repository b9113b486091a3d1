#!/usr/bin/env bash
# Ends this host's Ray and removes what it leaves: stop.sh [--trading]. A firm that trades here is not ended, unless
# --trading says so. The installation, the runs and their keys stay.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
# A supervisor alone tells how a firm ended, until somebody looks.
if [ "${1:-}" != --trading ] && pgrep -f '^ray::Supervisor' >/dev/null &&
    pgrep -f '^ray::(EventBus|Broker|Host)' >/dev/null; then
    echo "firm: a firm is trading on $(hostname); end it first, there: firm stop --reason '...'" >&2
    exit 3
fi
if pgrep -f '/ray/core/src/ray/|/ray/dashboard/|^ray::' >/dev/null; then
    ray stop --grace-period 10 >/dev/null 2>&1 || ray stop --force >/dev/null 2>&1
fi
# A simulated gateway outlives the firm that was ended with --trading; its journal has everything.
pkill -u "$(id -u)" -f '^[^ ]*python[^ ]* -m firm\.gateway_sim ' || true
# The launcher's memory of nodes is in here as well: with an old one it would skip the set-up of workers.
rm -rf /tmp/ray
