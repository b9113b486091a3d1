"""The Monte Carlo scenarios by definition: Python integers, libm and numpy, nothing of the kernels."""

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


def philox_words(*counter_and_key: int) -> tuple[int, ...]:
    """Philox4x32-10 from the definition in Salmon et al. (2011), section 3.3."""
    x0, x1, x2, x3, k0, k1 = counter_and_key
    for _ in range(10):
        a, b = 0xD2511F53 * x0, 0xCD9E8D57 * x2
        x0, x1, x2, x3 = (b >> 32) ^ x1 ^ k0, b % 2**32, (a >> 32) ^ x3 ^ k1, a % 2**32
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return x0, x1, x2, x3


def words(scenario: int, dimension: int, stream: int, seed: int) -> tuple[int, ...]:
    key = (seed % 2**32, seed >> 32)
    return philox_words(scenario % 2**32, scenario >> 32, dimension // 4, stream, *key)


def normal(scenario: int, dimension: int, stream: int, seed: int) -> float:
    """Box-Muller: two words give two normals; the angle's quadrant is in its top two bits."""
    pair = words(scenario, dimension, stream, seed)[dimension % 4 // 2 * 2 :][:2]
    radius = np.sqrt(-2.0 * np.log((pair[0] + 0.5) / 2**32))
    angle = (pair[1] % 2**30 + 0.5) / 2**30 * np.pi / 2.0
    if dimension % 2 == 0:
        return float(radius * np.cos(angle) * (-1.0 if pair[1] & 2**31 else 1.0))
    return float(radius * np.sin(angle) * (-1.0 if pair[1] & 2**30 else 1.0))


def student_scale(scenario: int, nu: int, seed: int) -> float:
    if not nu:
        return 1.0
    uniforms = [(words(scenario, term, 1, seed)[term % 4] + 0.5) / 2**32 for term in range(nu // 2)]
    return float(np.sqrt(nu / (-2.0 * np.log(uniforms).sum())))


def scenario_returns(scenario: int, loadings: Matrix, idiosyncratic: Vector, seed: int, nu: int) -> Vector:
    """Log-returns of all instruments in one scenario, without drift."""
    n, k = loadings.shape
    f = np.array([normal(scenario, j, 0, seed) for j in range(k)])
    e = np.array([normal(scenario, i, 2, seed) for i in range(n)])
    return np.asarray(student_scale(scenario, nu, seed) * (loadings @ f + idiosyncratic * e))
