"""Finds the minimax polynomials of the risk kernels: `pip install mpmath`, then run it and compare.

python tools/fit_kernel_polynomials.py

Prints, for every polynomial in `firm/risk_kernels/{elementary,normals,single}.py`, its largest weighted error
and its coefficients, the constant first. Method: Remez exchange in 50 digits.
"""

from collections.abc import Callable
from typing import Any

import mpmath as mp  # type: ignore[import-not-found,import-untyped,unused-ignore]

mp.mp.dps = 50
Real = Any
Function = Callable[[Real], Real]
_ROUNDS = 14
_GRID = 1200


def one(_: Real) -> Real:
    """No weight: every error counts as it is."""
    return mp.mpf(1)


def remez(f: Function, weight: Function, degree: int) -> tuple[list[Real], Real]:
    """Coefficients on [-1, 1] that make the largest |weight (polynomial - f)| least, and that error."""
    nodes = [-mp.cos(mp.pi * i / (degree + 1)) for i in range(degree + 2)]
    grid = [-mp.cos(mp.pi * i / _GRID) for i in range(_GRID + 1)]
    for _ in range(_ROUNDS):
        coefficients = _levelled(f, weight, nodes, degree)
        errors = [weight(x) * (mp.polyval(coefficients[::-1], x) - f(x)) for x in grid]
        peaks = _alternating_peaks(errors, degree + 2)
        if len(peaks) < degree + 2:
            break
        nodes = [grid[i] for i in peaks]
        if min(abs(errors[i]) for i in peaks) > mp.mpf("0.98") * max(abs(e) for e in errors):
            break
    return coefficients, max(abs(e) for e in errors)


def _levelled(f: Function, weight: Function, nodes: list[Real], degree: int) -> list[Real]:
    """The polynomial whose weighted errors at the nodes have one size and alternating signs."""
    size = degree + 2
    matrix, right = mp.matrix(size, size), mp.matrix(size, 1)
    for i, x in enumerate(nodes):
        for j in range(degree + 1):
            matrix[i, j] = x**j
        matrix[i, degree + 1] = (-1) ** i / weight(x)
        right[i] = f(x)
    solved = mp.lu_solve(matrix, right)
    return [solved[j] for j in range(degree + 1)]


def _alternating_peaks(errors: list[Real], wanted: int) -> list[int]:
    """The place of the largest error of each run of one sign, the smaller ends dropped."""
    runs: list[list[int]] = [[0]]
    for i in range(1, len(errors)):
        if errors[i] * errors[runs[-1][-1]] < 0:
            runs.append([])
        runs[-1].append(i)
    peaks = [max(run, key=lambda i: abs(errors[i])) for run in runs]
    while len(peaks) > wanted:
        peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
    return peaks


def on(low: Real, high: Real, f: Function, degree: int, weight: Function = one) -> tuple[list[Real], Real]:
    """As `remez`, for f of x in [low, high]; coefficients of powers of x."""
    half, middle = (high - low) / 2, (high + low) / 2
    scaled, error = remez(lambda t: f(middle + half * t), lambda t: weight(middle + half * t), degree)
    total, power = [mp.mpf(0)] * (degree + 1), [mp.mpf(1)]
    for coefficient in scaled:
        for i, value in enumerate(power):
            total[i] += coefficient * value
        shifted = [mp.mpf(0), *[value / half for value in power]]
        power = [a - middle / half * b for a, b in zip(shifted, [*power, mp.mpf(0)], strict=True)]
    return total, error


def tail_ratio(t: Real) -> Real:
    """N(-y) exp(y^2 / 2) at y = 7 (t + 1) / 2."""
    y = 3.5 * (t + 1)
    return mp.erfc(y / mp.sqrt(2)) / 2 * mp.exp(y * y / 2)


def half_normal(t: Real) -> Real:
    """(N(d) - 1/2) / d at d^2 = 25 (t + 1) / 2."""
    d = mp.sqrt(12.5 * (t + 1))
    return mp.erf(d / mp.sqrt(2)) / 2 / d if d > mp.mpf("1e-12") else 1 / mp.sqrt(2 * mp.pi)


def exp_remainder(r: Real) -> Real:
    """(exp(r) - 1 - r) / r^2."""
    return (mp.exp(r) - 1 - r) / r**2 if abs(r) > mp.mpf("1e-12") else mp.mpf(1) / 2 + r / 6


def log_ratio(f: Real) -> Real:
    """ln(1 + f) / f."""
    return mp.log1p(f) / f if abs(f) > mp.mpf("1e-20") else mp.mpf(1)


def sine_ratio(q: Real) -> Real:
    """sin(w) / w at w^2 = q."""
    return mp.sin(mp.sqrt(q)) / mp.sqrt(q) if q > mp.mpf("1e-30") else 1 - q / 6


def main() -> None:
    """Every polynomial of the kernels."""
    half_ln2 = mp.log(2) / 2 * mp.mpf("1.0001")
    low, high = mp.sqrt(mp.mpf(1) / 2) - 1, mp.sqrt(2) - 1
    quarter = (mp.pi / 4) ** 2

    def cosine(q: Real) -> Real:
        return mp.cos(mp.sqrt(q))

    def squared(r: Real) -> Real:
        return max(r * r, mp.mpf("1e-3"))

    fits = {
        "tail_over_density": remez(tail_ratio, lambda t: mp.exp(-6.125 * (t + 1) ** 2), 18),
        "normal_single": remez(half_normal, lambda t: max(mp.sqrt(12.5 * (t + 1)), mp.mpf("0.05")), 12),
        "expm1": on(-half_ln2, half_ln2, exp_remainder, 10, squared),
        "exp_of_negative": on(-half_ln2, half_ln2, exp_remainder, 7, squared),
        "expm1_single": on(-half_ln2, half_ln2, exp_remainder, 4, squared),
        "exponential": on(low, high, log_ratio, 13),
        "exponential_single": on(low, high, log_ratio, 8),
        "direction, sine": on(mp.mpf(0), quarter, sine_ratio, 4),
        "direction, cosine": on(mp.mpf(0), quarter, cosine, 5),
        "direction_single, sine": on(mp.mpf(0), quarter, sine_ratio, 3),
        "direction_single, cosine": on(mp.mpf(0), quarter, cosine, 3),
    }
    for name, (coefficients, error) in fits.items():
        print(f"{name}: error {mp.nstr(error, 3)}")
        print("   ", ", ".join(mp.nstr(c, 18) for c in coefficients))


if __name__ == "__main__":
    main()
