"""The certification's TLS cases, over real loopback sockets: a failed handshake means no request and no RF."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.cbrs.tls import TlsFiles
from agent.cbrs.transport import NoAnswer, SasTransport
from agent.trial.winnf.cases import RfCheck
from agent.trial.winnf.rig import registration
from sim.cbrs.pki import SimPki
from sim.cbrs.sas import SasServer, SimSas

CASES = {
    "TLS: a good SAS": {},
    "TLS: revoked": {"revoke": True},
    "TLS: expired": {"days": (-10, -5)},
    "TLS: unknown root": {},
    "TLS: another host's": {"host": "sas.example"},
    "TLS: of another role": {},
}


def tls_cases() -> Iterator[tuple[str, list[RfCheck]]]:
    """Yield each case with its checks."""
    with TemporaryDirectory(prefix="bandpact-") as folder:
        root = Path(folder)
        known, stranger = SimPki(root), SimPki(root, name="stranger")
        key, certificate = known.issue("device", "cbsd")
        ours = TlsFiles(key=key, certificate=certificate, roots=known.roots, revoked=known.revoked)
        for name, how in CASES.items():
            authority = stranger if "unknown" in name else known
            role = "cbsd" if "role" in name else "sas"
            its_key, its_certificate = authority.issue(name.replace(" ", "-"), role, **how)  # type: ignore[arg-type]
            yield name, list(_asked(name, ours, its_key, its_certificate))


def _asked(name: str, ours: TlsFiles, key: Path, certificate: Path) -> Iterator[RfCheck]:
    sas = SimSas()
    server = SasServer(sas, key=key, certificate=certificate, roots=ours.roots, revoked=ours.revoked)
    transport = SasTransport(server.url, ours, timeout_s=3.0)
    try:
        answer = transport.post("registration", {"registrationRequest": [registration(0)]})
    finally:
        transport.close()
        server.close()
    good = "good" in name
    yield RfCheck(question="a session" if good else "no session", holds=isinstance(answer, NoAnswer) != good)
    yield RfCheck(question="registered" if good else "nothing was said", holds=bool(sas.seen) == good)
