"""Verifies the installation parameters that a certified professional installer signed: a JWS (WINNF-TS-0016).

    (1) the protected header is base64url JSON with `alg` RS256 or ES256, and nothing else that changes what is signed
    (2) the signature over `header.payload` holds under a key of an installer this node knows
    (3) the payload is JSON with the fccId and cbsdSerialNumber of this very device, and that installer's cpiId; whether
        the installer is certified still is known to whoever keeps this node's list of installers
    (4) RSA keys have 2048 bits or more, ECDSA keys are on P-256

Source: RFC 7515 (JWS), RFC 7518 clauses 3.3 and 3.4.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from radio.cbrs.fields import Item
from radio.cbrs.messages import BadBody, read_json

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
RSA_BITS_MIN = 2048
HALF = 32
LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """An installer trusted by this node: the CPI id, and the public key of its certificate."""

    cpi: str
    key: PublicKey


def _bytes(text: object) -> bytes | None:
    if not isinstance(text, str) or not text.isascii() or len(text) > LIMIT or "=" in text:
        return None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _object(raw: bytes | None) -> Item | None:
    value = None if raw is None else read_json(raw, limit=LIMIT)
    return value if isinstance(value, dict) and not isinstance(value, BadBody) else None


def _holds(key: PublicKey, alg: str, signature: bytes, data: bytes) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if alg != "RS256" or key.key_size < RSA_BITS_MIN:
                return False
            key.verify(signature, data, padding.PKCS1v15(), SHA256())
            return True
        if alg != "ES256" or not isinstance(key.curve, ec.SECP256R1) or len(signature) != 2 * HALF:
            return False
        r, s = (int.from_bytes(half, "big") for half in (signature[:HALF], signature[HALF:]))
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def verify(signed: Item, fcc: str, serial: str, installers: Iterable[Installer]) -> Item | str:
    """The signed installation parameters for that device, or why the signature is refused: rules (1) to (4)."""
    header_text, payload_text = signed.get("protectedHeader"), signed.get("encodedCpiSignedData")
    header, payload = _object(_bytes(header_text)), _object(_bytes(payload_text))
    signature = _bytes(signed.get("digitalSignature"))
    if header is None or payload is None or signature is None:
        return "not a JWS of JSON in base64url"
    alg = header.get("alg")
    if alg not in ("RS256", "ES256") or "crit" in header or "b64" in header:
        return f"alg {alg!r}; RS256 or ES256, without crit"
    data = f"{header_text}.{payload_text}".encode()
    by = next((one for one in installers if _holds(one.key, alg, signature, data)), None)
    if by is None:
        return "signed by no installer that this node knows"
    if (payload.get("fccId"), payload.get("cbsdSerialNumber")) != (fcc, serial):
        return "signed for another device"
    about, place = payload.get("professionalInstallerData"), payload.get("installationParam")
    if not isinstance(about, dict) or about.get("cpiId") != by.cpi:
        return f"cpiId is not {by.cpi}, whose key signed"
    return place if isinstance(place, dict) else "no installationParam"


def sign(place: Item, *, fcc: str, serial: str, cpi: str, name: str, certified_at: str, key: object) -> Item:
    """Sign one device's installation parameters: its cpiSignatureData. Raises TypeError for another kind of key."""
    alg = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    about = {"cpiId": cpi, "cpiName": name, "installCertificationTime": certified_at}
    payload = {"fccId": fcc, "cbsdSerialNumber": serial, "installationParam": place, "professionalInstallerData": about}
    parts = [_text(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": alg}, payload)]
    data = ".".join(parts).encode()
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(data, padding.PKCS1v15(), SHA256())
    elif isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        signature = _raw(key.sign(data, ec.ECDSA(SHA256())))
    else:
        raise TypeError(f"{type(key).__name__}: an RSA or a P-256 key signs an installation")
    return {"protectedHeader": parts[0], "encodedCpiSignedData": parts[1], "digitalSignature": _text(signature)}


def _raw(der: bytes) -> bytes:
    return b"".join(part.to_bytes(HALF, "big") for part in decode_dss_signature(der))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
