"""Philox words against the published known answers and an independent implementation."""

import numpy as np
import pytest
from independent import philox_words

from firm.risk_kernels.philox import key_words, philox4x32

# Source: the file kat_vectors of Random123, philox4x32 with 10 rounds.
KNOWN_ANSWERS = [
    (0x00000000, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (0xFFFFFFFF, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
]


@pytest.mark.parametrize(("word", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_known_answers(word: int, expected: tuple[int, ...]):
    assert philox4x32(*[np.uint64(word)] * 6) == expected


def test_philox_agrees_with_the_plain_definition_on_mixed_counters():
    for step in range(50):
        counter = [(step * 0x9E3779B1 + n * 0x85EBCA77) % 2**32 for n in range(4)]
        key = (step * 7919, 2**32 - 1 - step)

        words = philox4x32(*[np.uint64(v) for v in (*counter, *key)])

        assert words == philox_words(*counter, *key)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_that_does_not_fit_64_bits_is_refused(seed: int):
    with pytest.raises(ValueError, match=rf"seed needs to be in 0\.\.2\*\*64-1, found {seed}"):
        key_words(seed)
