"""The set-up script refuses interpreters the firm cannot run on, and says what it found and what to do."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "setup_venv.sh"


def set_up_with(python: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the script in an empty directory."""
    shell = shutil.which("sh")
    assert shell, "the set-up needs a POSIX shell"
    return subprocess.run(
        [shell, str(SCRIPT)],
        cwd=directory,
        env={**os.environ, "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("version", ["Python 3.10.13", "Python 3.14.0"])
def test_an_interpreter_of_another_version_is_refused_by_name(tmp_path: Path, version: str):
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\n[ "$1" = -V ] && echo "{version}" && exit 0\nexit 1\n', encoding="utf-8")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)

    answer = set_up_with(str(python), tmp_path)

    assert answer.returncode == 1
    assert f"firm needs Python 3.11, 3.12 or 3.13; '{python}' ({python}) is {version}." in answer.stderr
    assert "make PYTHON=python3.12 <target>" in answer.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_machine_without_python_is_told_so(tmp_path: Path):
    answer = set_up_with("python3-that-is-not-there", tmp_path)

    assert answer.returncode == 1
    assert "there is no 'python3-that-is-not-there' on this machine" in answer.stderr
