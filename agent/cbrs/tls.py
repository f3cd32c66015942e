"""Mutual TLS of the SAS-CBSD interface: checks on both sides before any byte is read (WINNF-TS-0065, -0022).

(1) TLS 1.2 with one of the five suites that the interface names, nothing lower
(2) a certificate within its validity, its chain ending at a root in `roots`
(3) not revoked: every certificate of the chain is checked against a valid list in `revoked`
(4) the host name, where this side is the client
(5) the role: certificate policies name a SAS, a CBSD or a domain proxy operator (`role_flaw`)
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

SUITES = (
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
_ROLE = "1.3.6.1.4.1.46609.1.1."
SAS, INSTALLER, CBSD, OPERATOR = (_ROLE + number for number in "1234")
NAMES = {SAS: "SAS", INSTALLER: "installer", CBSD: "CBSD", OPERATOR: "domain proxy operator"}


class TlsFileError(Exception):
    """A key, certificate, root or revocation list cannot be used; the message is one line that names the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: own key and chain, trusted roots, and the revocation lists of every issuer below them."""

    key: Path
    certificate: Path
    roots: Path
    revoked: Path

    def changed(self) -> tuple[int, ...]:
        """Return when each file was last changed, ns; 0 for a missing file."""
        return tuple(_changed_ns(one) for one in (self.key, self.certificate, self.roots, self.revoked))


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _context(files: TlsFiles, protocol: "ssl._SSLMethod") -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(SUITES))
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN | ssl.VerifyFlags.VERIFY_X509_STRICT
    for name in ("certificate", "roots", "revoked"):
        path: Path = getattr(files, name)
        try:
            if name == "certificate":
                context.load_cert_chain(path, files.key)
            else:
                context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as exc:
            reason = exc.strerror or getattr(exc, "reason", None) or exc
            raise TlsFileError(f"{path}: {reason}; {name} must be readable PEM") from exc
    return context


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the TLS context of a server, with rules (1) to (3). Raises TlsFileError."""
    return _context(files, ssl.PROTOCOL_TLS_SERVER)


def revocation_lists(path: Path) -> list[x509.CertificateRevocationList]:
    """Return the revocation lists of a PEM file. Raises TlsFileError."""
    begin = b"-----BEGIN X509 CRL-----"
    try:
        parts = path.read_bytes().split(begin)[1:]
        return [x509.load_pem_x509_crl(begin + part) for part in parts]
    except (OSError, ValueError) as exc:
        raise TlsFileError(f"{path}: {exc}; revoked must be readable PEM") from exc


class ServerTls:
    """The TLS context of a server, rebuilt when one of its files changes, for new connections from then on."""

    def __init__(self, files: TlsFiles) -> None:
        """Build the context. Raises TlsFileError."""
        self._files, self._seen = files, files.changed()
        self._newest = self.context = server_context(files)
        self._lists = revocation_lists(files.revoked)
        self.context.sni_callback = self._chosen
        self.context.options |= ssl.OP_NO_TICKET

    def _chosen(self, connection: Any, _name: str | None, _context: ssl.SSLContext) -> None:
        """Use the newest files in each handshake, before anything is verified."""
        connection.context = self._newest

    def renewed(self) -> bool:
        """Reload changed files; returns whether they changed since they were last good. Raises TlsFileError if bad.

        Unreadable files are read again at the next call, changed or not: a file may have been half written, or no
        descriptor was left, and meanwhile a revoked peer may have been let in.
        """
        seen = self._files.changed()
        if seen == self._seen:
            return False
        newest, lists = server_context(self._files), revocation_lists(self._files.revoked)
        self._newest, self._lists, self._seen = newest, lists, seen
        return True

    def flaw(self, der: bytes) -> str | None:
        """Return why a certificate is no longer good, None where it is; a resumed session was verified at its start."""
        try:
            certificate, now = x509.load_der_x509_certificate(der), datetime.now(UTC)
        except ValueError as exc:
            return f"it cannot be read: {exc}"
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return "it is not in its life"
        lists = [one for one in self._lists if one.issuer == certificate.issuer]
        if any(one.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None for one in lists):
            return "it is revoked"
        return None


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the TLS context of a client, with rules (1) to (4). Raises TlsFileError."""
    context = _context(files, ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = True
    return context


def roles(der: bytes) -> frozenset[str]:
    """Return the roles that a certificate's policies name."""
    try:
        found = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.CertificatePolicies)
    except (ValueError, x509.ExtensionNotFound):
        return frozenset()
    return frozenset(policy.policy_identifier.dotted_string for policy in found.value) & frozenset(NAMES)


def role_flaw(der: bytes | None, wanted: tuple[str, ...]) -> str | None:
    """Return why a peer's certificate lacks the wanted roles, rule (5); None where it has one."""
    found = frozenset[str]() if der is None else roles(der)
    if found & set(wanted):
        return None
    shown = ", ".join(sorted(NAMES[one] for one in found)) or "none"
    return f"role {shown}; required: {' or '.join(NAMES[one] for one in wanted)}"
