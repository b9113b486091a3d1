"""Same bits everywhere: pins the threads and CPU kernels of the numeric libraries before they are imported.

BLAS and ufunc results depend on the number of threads and on the CPU kernel chosen at import, so every
process of the firm sets these before numpy is imported. Whether it worked is proven, not assumed: the
numeric fingerprint (`firm.risk_kernels.fingerprint`) is the first thing in every log.
"""

import os
import platform

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
X86_VARIABLES = {
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}


def numeric_environment() -> dict[str, str]:
    """The variables every process of a run needs, for workers that inherit nothing."""
    variables = dict.fromkeys(THREAD_VARIABLES, "1")
    if platform.machine().lower() in {"x86_64", "amd64"}:
        variables |= X86_VARIABLES
    return variables


def pin_numeric_environment() -> None:
    """Set the variables in this process; later imports of numpy and numba obey them."""
    os.environ.update(numeric_environment())
