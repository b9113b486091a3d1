"""The fingerprint is stable between processes that pin their numeric environment, as `import firm` does.

This test process may have imported numpy before `firm`; its own fingerprint then is another one, rightly.
"""

import os
import re
import subprocess
import sys

from firm.risk_kernels.fingerprint import numeric_fingerprint

PROGRAM = "from firm.risk_kernels.fingerprint import numeric_fingerprint as f; print(f())"


def test_the_fingerprint_is_a_sha256():
    assert re.fullmatch("[0-9a-f]{64}", numeric_fingerprint())


def test_two_processes_have_the_same_fingerprint():
    answers = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert len(answers) == 1
