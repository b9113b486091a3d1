"""One certificate for the cluster, from an authority whose key is forgotten."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from firm.errors import ConfigError
from firm.ops.certificates import make_certificates


def test_the_certificate_names_every_node_and_loopback_and_ends_when_it_was_said(tmp_path: Path):
    ends = make_certificates(tmp_path / "tls", ["10.77.0.10", "10.77.0.11", "core.firm.internal"], days=3)

    certificate = x509.load_pem_x509_certificate((tmp_path / "tls" / "node.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == [
        "10.77.0.10",
        "10.77.0.11",
        "127.0.0.1",
    ]
    assert names.get_values_for_type(x509.DNSName) == ["core.firm.internal", "localhost"]
    assert certificate.not_valid_after_utc == ends
    assert timedelta(days=3, minutes=-1) < ends - datetime.now(UTC) <= timedelta(days=3)


def test_nobody_else_on_the_machine_can_read_them_and_no_key_of_the_authority_is_kept(tmp_path: Path):
    folder = tmp_path / "tls"
    folder.mkdir(mode=0o755)

    make_certificates(folder, ["10.77.0.10"], 30)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert files == {"ca.crt": 0o600, "node.crt": 0o600, "node.key": 0o600}
    assert [path.name for path in folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()] == ["node.key"]


def test_a_certificate_of_another_authority_is_not_one_of_the_cluster(tmp_path: Path):
    for name in ("ours", "theirs"):
        make_certificates(tmp_path / name, ["10.77.0.10"], 30)

    ours, theirs = (
        x509.load_pem_x509_certificate((tmp_path / name / "ca.crt").read_bytes())
        for name in ("ours", "theirs")
    )
    node = x509.load_pem_x509_certificate((tmp_path / "ours" / "node.crt").read_bytes())
    node.verify_directly_issued_by(ours)
    with pytest.raises((ValueError, InvalidSignature)):
        node.verify_directly_issued_by(theirs)


def test_openssl_takes_certificate_and_key_as_a_pair(tmp_path: Path):
    make_certificates(tmp_path, ["10.77.0.10"], 30)

    context = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    context.load_cert_chain(tmp_path / "node.crt", tmp_path / "node.key")

    assert context.cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize(("hosts", "days"), [([], 30), (["10.77.0.10"], 0)])
def test_without_nodes_or_days_there_is_no_certificate(tmp_path: Path, hosts: list[str], days: int):
    with pytest.raises(ConfigError, match="at least one node and at least one day"):
        make_certificates(tmp_path, hosts, days)
