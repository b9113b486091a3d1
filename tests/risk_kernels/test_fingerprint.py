"""The numeric fingerprint: stable between processes, and different where the numbers are."""

import os
import re
import subprocess
import sys

from firm.risk_kernels.fingerprint import numeric_fingerprint

PROGRAM = "from firm.risk_kernels.fingerprint import numeric_fingerprint as f; print(f())"


def test_the_fingerprint_is_a_sha256():
    assert re.fullmatch("[0-9a-f]{64}", numeric_fingerprint())


def test_another_process_has_the_same_fingerprint():
    environment = os.environ | {"PYTHONHASHSEED": "12345"}

    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, env=environment
    )

    assert answer.stdout.strip() == numeric_fingerprint()
