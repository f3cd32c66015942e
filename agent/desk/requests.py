"""Requests to an authority for a credential: public keys and a name, signed by the key that is to be certified.

proof   the new key's signature over all else, so that nobody requests with another's key, or under another name
before  for a rotation, the old key's signature over the same: only its owner can name the successor
"""

from dataclasses import dataclass
from pathlib import Path

import cbor2
import tomli_w

from agent.config.settings import ConfigError
from hw_profiles.smallfile import read_small_text
from hw_profiles.tomltext import read_toml
from settlement.chain import keys
from settlement.chain.keys import SigningKey
from settlement.chain.names import name_flaw

_DOMAIN = b"bandpact/1/request"
_FIELDS = ("public", "name", "transport", "device")


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRequest:
    """Public keys in a request; an authority's has no transport key or device, and may have no name."""

    public: bytes
    name: str | None
    transport: bytes | None
    device: str | None
    before: bytes | None = None
    path: Path = Path("request")

    def succeeds(self, old: bytes) -> bool:
        """Return whether the old key signed this key as its successor."""
        return self.before is not None and keys.verify(old, self.before, _to_sign(self._values()))

    def _values(self) -> dict[str, str]:
        values = {
            "public": self.public.hex(),
            "name": self.name,
            "transport": self.transport.hex() if self.transport is not None else None,
            "device": self.device,
        }
        return {key: value for key, value in values.items() if value is not None}


def _to_sign(values: dict[str, str]) -> bytes:
    return _DOMAIN + cbor2.dumps([[key, values[key]] for key in sorted(values)])


def request_text(
    key: SigningKey,
    *,
    name: str | None,
    transport: bytes | None = None,
    device: str | None = None,
    before: SigningKey | None = None,
) -> str:
    """Return the text of a request file. Raises ConfigError for a name that no authority would give."""
    wrong = name_flaw(name) if name is not None else None
    if wrong is not None:
        raise ConfigError(f"name {name!r}: {wrong}; choose another with --name")
    asked = CredentialRequest(public=key.public, name=name, transport=transport, device=device)
    values = asked._values()  # noqa: SLF001 - the same module
    signed = _to_sign(values)
    proofs = {"proof": key.sign(signed).hex()}
    if before is not None:
        proofs["before"] = before.sign(signed).hex()
    return tomli_w.dumps({**values, **proofs})


def read_request(path: Path, *, of_authority: bool = False) -> CredentialRequest:
    """Read the request of a node or an authority, and verify its signature. Raises ConfigError."""
    made_by = "bandpact authority request" if of_authority else "bandpact node init"
    try:
        table = read_toml(read_small_text(path))
        values = {key: str(table[key]) for key in _FIELDS if key in table}
        public = bytes.fromhex(values["public"])
        if of_authority and "transport" in values:
            raise ConfigError(f"{path}: a node asks with it, not an authority; give what {made_by} wrote")
        transport = None if of_authority else bytes.fromhex(values["transport"])
        device, name = None if of_authority else values["device"], values.get("name")
        proof = bytes.fromhex(str(table.get("proof", "")))
        before = bytes.fromhex(str(table["before"])) if "before" in table else None
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; give the request that {made_by} wrote") from exc
    except (KeyError, TypeError, ValueError, RecursionError) as exc:
        raise ConfigError(f"{path}: not a request ({exc}); run {made_by} again") from exc
    if not keys.usable(public) or not keys.verify(public, proof, _to_sign(values)):
        raise ConfigError(f"{path}: KEY: not signed by the key that it asks for; have {made_by} write it anew")
    if not of_authority and name is None:
        raise ConfigError(f"{path}: not a request (it names nobody); run {made_by} again")
    return CredentialRequest(public=public, name=name, transport=transport, device=device, before=before, path=path)
