"""The numeric libraries are pinned before they are imported, and a choice of numba's processor is kept."""

import json
import os
import platform
import subprocess
import sys

import pytest

from firm.numeric_env import NUMBA_CHOICES, THREAD_VARIABLES, numeric_environment

PROGRAM = """
import json, os, firm
loaded = "numpy" in __import__("sys").modules
print(json.dumps([loaded, {name: os.environ.get(name) for name in %r}]))
"""


def pinned(**settings: str) -> tuple[bool, dict[str, str | None]]:
    """Whether importing the firm imported numpy, and the variables of a new process after it."""
    names = (*THREAD_VARIABLES, *NUMBA_CHOICES)
    environment = {name: value for name, value in os.environ.items() if name not in names} | settings
    program = PROGRAM % (names,)
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment
    )
    loaded, values = json.loads(done.stdout)
    return loaded, values


def test_importing_the_firm_pins_the_threads_without_importing_numpy():
    loaded, values = pinned()

    assert not loaded
    assert {values[name] for name in THREAD_VARIABLES} == {"1"}


@pytest.mark.skipif(platform.machine().lower() not in {"x86_64", "amd64"}, reason="a feature of x86")
def test_full_vectors_are_used_only_where_the_processor_has_them():
    features = pinned()[1]["NUMBA_CPU_FEATURES"]

    assert features is None or ("+avx512f" in features and features.endswith(",-prefer-256-bit"))


@pytest.mark.parametrize("choice", [{"NUMBA_CPU_NAME": "generic"}, {"NUMBA_CPU_FEATURES": ""}])
def test_who_chooses_a_processor_for_numba_keeps_it(choice: dict[str, str]):
    values = pinned(**choice)[1]

    assert {name: values[name] for name in NUMBA_CHOICES} == dict.fromkeys(NUMBA_CHOICES) | choice


def test_what_other_machines_are_told_says_nothing_about_this_one_s_processor():
    assert not set(NUMBA_CHOICES) & set(numeric_environment())
