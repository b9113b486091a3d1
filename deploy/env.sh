# Sourced before every start of Ray: the head, the workers and the drivers each read their own environment.
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export RAY_health_check_initial_delay_ms=0 RAY_health_check_period_ms=1000
export RAY_health_check_timeout_ms=1000 RAY_health_check_failure_threshold=4
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1
case "$(uname -m)" in
x86_64) export OPENBLAS_CORETYPE=Haswell NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR" ;;
esac
# A worker between two risk runs is kept: a fresh one would compile its kernels first.
export RAY_idle_worker_killing_time_threshold_ms=86400000
# Ray runs its workers at niceness 15: whatever else runs on the host would come before the firm.
export RAY_worker_niceness=0
