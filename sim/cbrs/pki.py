"""A certificate authority as the SAS-CBSD interface asks for, for tests: root, roles, revocation."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROLES = {"sas": 1, "installer": 2, "cbsd": 3, "operator": 4}
_ROLE = "1.3.6.1.4.1.46609.1.1."
DAY = timedelta(days=1)


@dataclass(slots=True)
class SimPki:
    """A certificate authority with one root, and the folder of its files."""

    folder: Path
    name: str = "root"
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    _revoked: list[int] = field(default_factory=list)
    _root: x509.Certificate | None = None

    def __post_init__(self) -> None:
        """Create the root key and certificate."""
        now = datetime.now(UTC)
        name = _named(self.name)
        made = self._begun(name, name, now - DAY, now + 3650 * DAY, self._key.public_key())
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._root = made.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.write_roots()

    @property
    def roots(self) -> Path:
        """The path of the root certificate."""
        return self.folder / f"{self.name}.pem"

    @property
    def revoked(self) -> Path:
        """The path of the revocation list."""
        return self.folder / f"{self.name}.crl"

    def _begun(
        self, subject: x509.Name, issuer: x509.Name, begin: datetime, end: datetime, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
        made = made.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        return made.add_extension(issuer_id, critical=False)

    def write_roots(self) -> None:
        """Write root certificate and revocation list again."""
        assert self._root is not None  # noqa: S101 - made in __post_init__
        self.roots.write_bytes(self._root.public_bytes(serialization.Encoding.PEM))
        now = datetime.now(UTC)
        made = x509.CertificateRevocationListBuilder().issuer_name(self._root.subject)
        made = made.last_update(now - DAY).next_update(now + 30 * DAY)
        for serial in self._revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - DAY / 2).build()
            made = made.add_revoked_certificate(entry)
        made = made.add_extension(x509.CRLNumber(len(self._revoked) + 1), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        signed = made.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())
        self.revoked.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def revoke(self, certificate: Path) -> None:
        """Put a certificate on the revocation list."""
        self._revoked.append(x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number)
        self.write_roots()

    def issue(
        self,
        name: str,
        *roles: str,
        host: str = "localhost",
        days: tuple[float, float] = (-1, 365),
        revoke: bool = False,
    ) -> tuple[Path, Path]:
        """Issue key and certificate files for a device or a server, with its roles; `days` from now is the validity."""
        assert self._root is not None  # noqa: S101 - made in __post_init__
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        made = self._begun(_named(name), self._root.subject, now + days[0] * DAY, now + days[1] * DAY, key.public_key())
        names: list[x509.GeneralName] = [x509.DNSName(host), x509.IPAddress(ip_address("127.0.0.1"))]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        made = made.add_extension(x509.SubjectAlternativeName(names[: 1 if host != "localhost" else 2]), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if roles:
            policies = [x509.PolicyInformation(x509.ObjectIdentifier(f"{_ROLE}{ROLES[role]}"), None) for role in roles]
            made = made.add_extension(x509.CertificatePolicies(policies), critical=False)
        certificate = made.sign(self._key, hashes.SHA256())
        if revoke:
            self._revoked.append(certificate.serial_number)
            self.write_roots()
        paths = self.folder / f"{name}.key", self.folder / f"{name}.crt"
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        paths[0].touch(mode=0o600)
        paths[0].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
        paths[1].write_bytes(certificate.public_bytes(pem))
        return paths


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
