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


NUMBA_CHOICES = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
"""Which instructions numba may use. Who sets one of these himself keeps it."""


def numeric_environment() -> dict[str, str]:
    """The variables every process of a run needs, for workers that inherit nothing, on whatever machine."""
    variables = dict.fromkeys(THREAD_VARIABLES, "1")
    if platform.machine().lower() in {"x86_64", "amd64"}:
        variables |= X86_VARIABLES
    return variables


def pin_numeric_environment() -> None:
    """Set the variables in this process; later imports of numpy and numba obey them.

    Also the width of numba's vectors, which is this machine's own and therefore no part of
    `numeric_environment`: it changes how fast the kernels are, and not one bit of their results.
    """
    os.environ.update(numeric_environment())
    if not any(name in os.environ for name in NUMBA_CHOICES):
        os.environ.update(_full_vectors())


def _full_vectors() -> dict[str, str]:
    """Vectors of 64 bytes where the processor has them: LLVM would keep to 32 on those from Intel."""
    import llvmlite.binding as llvm  # type: ignore[import-untyped]

    features = llvm.get_host_cpu_features()
    if not features.get("avx512f"):
        return {}
    return {"NUMBA_CPU_FEATURES": features.flatten() + ",-prefer-256-bit"}
