"""The packaged sample is what its provenance says, and can be built again to the last byte."""

import hashlib
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "firm" / "tape" / "sample" / "us20_daily.npz"
SHA256 = "8f0bb05c481d7f76e28d501e2398e1fa01cb6c3fc811b2a07e274fc0d1bd13a7"


def test_the_sample_is_small_and_has_the_hash_its_provenance_names():
    provenance = SAMPLE.with_name("PROVENANCE.md").read_text(encoding="utf-8")

    assert SAMPLE.stat().st_size < 2_000_000
    assert hashlib.sha256(SAMPLE.read_bytes()).hexdigest() == SHA256
    assert SHA256 in provenance
    assert "BSD 3-Clause" in provenance


def test_building_the_sample_again_gives_the_same_bytes(tmp_path: Path):
    pytest.importorskip("skfolio", reason="building the sample needs the optional `data` extra (skfolio)")
    build = runpy.run_path(str(ROOT / "tools" / "build_sample_data.py"))["build"]

    assert hashlib.sha256(build(tmp_path)).hexdigest() == SHA256
    assert (tmp_path / "us20_daily.npz").read_bytes() == SAMPLE.read_bytes()
