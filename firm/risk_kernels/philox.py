"""Counter-based random numbers: the words of a scenario depend on its name alone, never on who computes it.

Philox4x32-10 turns a 128-bit counter and a 64-bit key into four 32-bit words. Here the counter is
(scenario low, scenario high, quad, stream), where quad = dimension // 4, and the key is the seed.

Source: Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3 (SC11, 2011).
"""

from typing import Any

import numpy as np

from firm.risk_kernels.elementary import inline

FACTORS, CHI_SQUARE, IDIOSYNCRATIC = np.uint64(0), np.uint64(1), np.uint64(2)
"""The streams: independent draws for the same scenario and dimension."""

MASK_32 = np.uint64(0xFFFFFFFF)
_SHIFT_32 = np.uint64(32)
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)  # golden ratio
_WEYL_1 = np.uint64(0xBB67AE85)  # sqrt(3) - 1


@inline
def philox4x32(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> tuple[Any, Any, Any, Any]:
    """Four random words from the counter words `c0..c3` and the key words `k0, k1`.

    All are uint64 holding 32 bits: a 64-bit product gives the high and the low half in one SIMD instruction.
    Between rounds the bits above are left as they fall; the product looks at the lower ones alone.
    """
    for _ in range(10):
        low = (c0 & MASK_32) * _MULTIPLIER_0
        high = (c2 & MASK_32) * _MULTIPLIER_1
        c0, c1, c2, c3 = (
            (high >> _SHIFT_32) ^ c1 ^ k0,
            high,
            (low >> _SHIFT_32) ^ c3 ^ k1,
            low,
        )
        k0, k1 = (k0 + _WEYL_0) & MASK_32, (k1 + _WEYL_1) & MASK_32
    return c0 & MASK_32, c1 & MASK_32, c2 & MASK_32, c3 & MASK_32


def key_words(seed: int) -> tuple[np.uint64, np.uint64]:
    """The two key words of a seed.

    Raises
    ------
    ValueError
        If the seed does not fit into 64 unsigned bits.

    >>> key_words(0x0000000200000001)
    (np.uint64(1), np.uint64(2))
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"a seed needs to be in 0..2**64-1, found {seed}")
    return np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)
