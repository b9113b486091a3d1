# Sourced before every start of Ray: the head, the workers and the drivers each read their own environment.
firm=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PATH="$firm/.venv/bin:$PATH"
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export RAY_health_check_initial_delay_ms=0 RAY_health_check_period_ms=1000
export RAY_health_check_timeout_ms=1000 RAY_health_check_failure_threshold=4
# On a busy host a worker can take longer to start than Ray's 60 s: it would be ended when it is nearly up, and begun
# again, without end.
export RAY_worker_register_timeout_seconds=600
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1
case "$(uname -m)" in
x86_64) export OPENBLAS_CORETYPE=Haswell NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" ;;
esac
# A worker between two risk runs is kept: a fresh one would compile its kernels first.
export RAY_idle_worker_killing_time_threshold_ms=86400000
# Ray runs its workers at niceness 15: whatever else runs on the host would come before the firm.
export RAY_worker_niceness=0
# The stories of this many calls are kept for the dashboard; Ray's own 100,000 are some 200 MB.
export RAY_task_events_max_num_task_in_gcs=10000
# A hundred connections an actor; a lower hard limit stays as it is.
ulimit -n 65536 2>/dev/null || true

# With certificates (`firm cluster certificates`, docs/security.md) Ray speaks TLS, and refuses who has none.
if [ -r $firm/.tls/node.key ]; then
    export RAY_USE_TLS=1 RAY_TLS_CA_CERT=$firm/.tls/ca.crt
    export RAY_TLS_SERVER_CERT=$firm/.tls/node.crt RAY_TLS_SERVER_KEY=$firm/.tls/node.key
fi

# Every port is fixed, so that a firewall can be as narrow as this: 6379-6385 and 10100-10999 among the nodes.
node_ports=(--node-manager-port=6380 --object-manager-port=6381 --runtime-env-agent-port=6382
    --dashboard-agent-listen-port=6383 --dashboard-agent-grpc-port=6384 --metrics-export-port=6385
    --min-worker-port=10100 --max-worker-port=10999)

# What a node is for, as --resources: the roles given, unless the host's own /etc/firm-roles says otherwise. With
# none given (a cloud whose node types name them) Ray has them from the launcher.
node_roles() {
    local roles=$* role separator=
    [ ! -r /etc/firm-roles ] || roles=$(cat /etc/firm-roles)
    printf '{'
    for role in $roles; do
        case $role in
        gateway | signals | risk) printf '%s"%s": 1' "$separator" "$role" ;;
        *) echo "firm: a role is gateway, signals or risk, found '$role'; correct /etc/firm-roles" >&2 && return 1 ;;
        esac
        separator=', '
    done
    printf '}'
}

# `ray start` with the arguments given. On a busy host Ray gives up when its agents have not started within 15 s, and
# the autoscaler never comes back to a node that has failed once: so it is tried again here.
start_ray() {
    local attempt
    for attempt in 1 2 3; do
        ! ray start "${node_ports[@]}" "$@" || return 0
        echo "firm: Ray did not start, attempt $attempt of 3" >&2
        bash "$firm/deploy/stop.sh"
    done
    return 1
}
