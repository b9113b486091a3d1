"""Certificates for the traffic between the nodes of a cluster: one for all, from an authority of its own.

The authority's key signs once and is forgotten: nobody can make a further certificate for this cluster, and
renewing means making both anew. All nodes share one key, as they share one token: whoever holds a node of a
Ray cluster can run anything on the others, and separate keys would only look as if that were otherwise.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firm.errors import ConfigError
from firm.ops.files import write_atomically

AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE = "ca.crt", "node.crt", "node.key"
CLOCKS_DIFFER: Final = timedelta(minutes=5)
LOOPBACK: Final = ("127.0.0.1", "localhost")
"""Ray's processes on one node speak TLS to each other too."""


def make_certificates(directory: Path, hosts: Sequence[str], days: int) -> datetime:
    """Write `ca.crt`, `node.crt` and `node.key` for these addresses or names; the moment they expire, UTC.

    The directory is made 0700, the files 0600; what was there is replaced. ConfigError without hosts or days.
    """
    if not hosts or days < 1:
        raise ConfigError(
            f"certificates need the address of at least one node and at least one day, found {len(hosts)} "
            f"addresses and {days} days"
        )
    begins = datetime.now(UTC) - CLOCKS_DIFFER
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _authority(authority_key, begins, ends)
    names = [_alternative(host) for host in dict.fromkeys([*hosts, *LOOPBACK])]
    certificate = (
        _builder("firm cluster node", authority.subject, key, begins, ends)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    for name, content in (
        (AUTHORITY_FILE, authority.public_bytes(serialization.Encoding.PEM)),
        (CERTIFICATE_FILE, certificate.public_bytes(serialization.Encoding.PEM)),
        (KEY_FILE, private),
    ):
        write_atomically(directory / name, content)
    return ends


def _authority(key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "firm cluster authority")])
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        _builder("firm cluster authority", name, key, begins, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(
    subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
