"""A private certificate authority for a bench: `carm service certs`.

Lives here: CA, broker and client certificates as files, ECDSA P-256.  May not live here: anything
for a hospital, whose own authority signs there.  The common name of a client certificate is its
MQTT user name, and the access rules of `systemd/mosquitto/acl` go by it.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS: Final = 397
_USAGE: Final = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
}


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _write_key(path: Path, key: EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(pem)


def _usage_of(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs, crl_sign=signs,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


class Authority:
    """A new authority in a folder; refuses to overwrite one.  `now` is aware, UTC."""

    def __init__(self, folder: Path, now: dt.datetime) -> None:
        self._folder, self._now = folder, now
        folder.mkdir(parents=True, exist_ok=True)
        self._key = generate_private_key(SECP256R1())
        self._name = _name("carm bench authority")
        _write_key(folder / "ca.key", self._key)
        base = self._begin(self._name, self._key)
        base = base.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        base = base.add_extension(_usage_of(signs=True), critical=True)
        self._finish(base, "ca")

    def issue(self, kind: str, common: str, file: str, hosts: Sequence[str] = ()) -> None:
        """`FILE.crt` and `FILE.key` for a `server` (with its hosts) or a `client`."""
        key = generate_private_key(SECP256R1())
        _write_key(self._folder / f"{file}.key", key)
        base = self._begin(_name(common), key)
        base = base.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        base = base.add_extension(_usage_of(signs=False), critical=True)
        base = base.add_extension(x509.ExtendedKeyUsage([_USAGE[kind]]), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            base = base.add_extension(names, critical=False)
        self._finish(base, file)

    def _begin(self, subject: x509.Name, key: EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - dt.timedelta(minutes=5))
            .not_valid_after(self._now + dt.timedelta(days=DAYS))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(issuer, critical=False)
        )

    def _finish(self, base: x509.CertificateBuilder, file: str) -> None:
        certificate = base.sign(self._key, hashes.SHA256())
        (self._folder / f"{file}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def make_bench(
    folder: Path, device: str, people: Sequence[str], hosts: Sequence[str],
    now: dt.datetime,
) -> list[str]:  # fmt: skip
    """Authority, broker, the device and people; `ROLE-NAME` becomes the person's user name.

    Returns the files made.  Raises FileExistsError rather than replace anything.
    """
    authority = Authority(folder, now)
    authority.issue("server", hosts[0], "broker", hosts)
    authority.issue("client", f"device-{device}", "client")
    for person in people:
        authority.issue("client", person, person)
    return sorted(path.name for path in folder.iterdir())
