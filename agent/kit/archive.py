"""Sealed archives of the kit: a zip of a few small files, a manifest with their SHA-256, and a signature over it.

Every reader checks in this order, and writes nothing to disk before the last step:

    (1) it is a zip of bounded size, with no encrypted member, link, folder or duplicate
    (2) each member's name is a plain file name, so that none reaches outside the target folder
    (3) the manifest is of this format and of the expected kind
    (4) the signature is by the key that the reader trusts
    (5) there are exactly the members the manifest names, each with the bytes it names
"""

import errno
import hashlib
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.config.settings import ConfigError
from hw_profiles.smallfile import read_small
from settlement.chain import keys

FORMAT: Final = "bandpact-kit-1"
DOMAIN: Final = b"bandpact/1/kit"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
MEMBERS_MAX: Final = 200
SMALL_MAX: Final = 8 << 20
"""Largest size in bytes of an invitation or a welcome: credentials, a rule and a few lines of text."""
LOGS_MAX: Final = 2 << 30
PACKED_RATIO_MAX, UNPACKED_FREE = 20, 64 << 20
"""Largest ratio of unpacked to packed size, beyond a free allowance in bytes: refuses zip bombs."""
_ENTRY: Final = b"PK\x01\x02"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}", re.ASCII)
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED_FLAG: Final = 0x1


class KitRefused(ConfigError):
    """An archive, an enrolment or a welcome is refused; the message is one line with a word for the cause."""


class Manifest(BaseModel):
    """The manifest of a sealed archive."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: str
    kind: str
    trial: str = Field(pattern="^[0-9a-f]{32}$")
    network: str
    anchor: str = Field(pattern="^[0-9a-f]{64}$")
    node: str = ""
    files: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedArchive:
    """A verified archive: its manifest, its files, and the digest from which its short code is made."""

    path: Path
    manifest: Manifest
    files: Mapping[str, bytes]
    digest: bytes

    @property
    def code(self) -> str:
        """Short code for two people to compare over the telephone: 40 bits of the manifest's digest."""
        return short_code(self.digest)


def short_code(digest: bytes) -> str:
    """Return ten hexadecimal digits in two groups, such as `3f9a1-c07be`."""
    text = digest.hex()[:10]
    return f"{text[:5]}-{text[5:]}"


def sealed(manifest: dict[str, Any], files: Mapping[str, bytes], sign: Callable[[bytes], bytes]) -> tuple[bytes, bytes]:
    """Return a sealed archive and its digest; `sign` returns the sealer's Ed25519 signature."""
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    whole = Manifest(format=FORMAT, files=hashes, **manifest)
    text = json.dumps(whole.model_dump(), indent=1, sort_keys=True).encode()
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in ((MANIFEST, text), (SIGNATURE, sign(DOMAIN + text)), *files.items()):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
    return out.getvalue(), hashlib.sha256(text).digest()


def open_sealed(
    path: Path, kind: str, trusted: Callable[[Manifest, Mapping[str, bytes]], bytes], *, limit: int = SMALL_MAX
) -> OpenedArchive:
    """Read a whole archive and check it.

    Args: kind: the kind it must be. trusted: returns the public key that must have signed it, from its content; raises
    KitRefused where no key is trusted. limit: most bytes of the archive, and of its members together.
    Raises: KitRefused with the cause in one word; ConfigError where the file cannot be read.
    """
    files = _members(path, limit)  # (1) (2)
    manifest = _manifest(path, files, kind)  # (3)
    text, signature = files.pop(MANIFEST), files.pop(SIGNATURE, b"")
    if not keys.verify(trusted(manifest, files), signature, DOMAIN + text):  # (4)
        raise KitRefused(f"{path}: ALTERED: its seal is not by who should have sealed it; ask for it again")
    for name in sorted(files.keys() ^ manifest.files.keys()):  # (5)
        raise KitRefused(f"{path}: ALTERED: {name!r} was {'added' if name in files else 'taken out'}; ask for it again")
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != manifest.files[name]:
            raise KitRefused(f"{path}: ALTERED: {name} is not what was sealed; ask for it again")
    return OpenedArchive(path=path, manifest=manifest, files=files, digest=hashlib.sha256(text).digest())


def _members(path: Path, limit: int) -> dict[str, bytes]:
    try:
        data = read_small(path, limit=limit)
    except OSError as exc:
        if exc.errno == errno.EFBIG:
            raise KitRefused(f"{path}: TOO_LARGE: more than {limit} bytes; ask for it again") from exc
        raise ConfigError(f"{path}: {exc.strerror or exc}; give the archive that the kit wrote") from exc
    if data.count(_ENTRY) > 4 * MEMBERS_MAX:  # checked before the zip reader makes an object of each entry
        raise KitRefused(f"{path}: TOO_LARGE: more than {MEMBERS_MAX} files; ask for it again")
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            infos = archive.infolist()
            _bounded(path, infos, min(limit, max(UNPACKED_FREE, PACKED_RATIO_MAX * len(data))))
            return {info.filename: _member(path, archive, info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, RuntimeError) as exc:
        raise KitRefused(f"{path}: MALFORMED: no archive of the kit ({exc}); ask for it again") from exc


def _bounded(path: Path, infos: list[zipfile.ZipInfo], limit: int) -> None:
    if len(infos) > MEMBERS_MAX or sum(info.file_size for info in infos) > limit:
        raise KitRefused(f"{path}: TOO_LARGE: more than {MEMBERS_MAX} files or {limit} bytes; ask for it again")
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise KitRefused(f"{path}: MALFORMED: it holds a file twice; ask for it again")
    for info in infos:
        mode = info.external_attr >> 16
        if stat.S_ISLNK(mode) or (mode and not stat.S_ISREG(mode)):
            raise KitRefused(f"{path}: LINK: {info.filename!r} is no plain file; do not use this archive")
        if _NAME.fullmatch(info.filename) is None or ".." in info.filename:
            raise KitRefused(f"{path}: PATH: {info.filename!r} is no plain file name; do not use this archive")
        if info.flag_bits & _ENCRYPTED_FLAG or info.compress_type not in _METHODS:
            raise KitRefused(f"{path}: MALFORMED: {info.filename!r} is packed in a way the kit never does")


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as member:
        data = member.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise KitRefused(f"{path}: MALFORMED: {info.filename!r} is not as long as it says; ask for it again")
    return data


def _manifest(path: Path, files: Mapping[str, bytes], kind: str) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(files.get(MANIFEST, b""))
    except ValidationError as exc:
        raise KitRefused(f"{path}: MALFORMED: no archive of the kit (its manifest does not read)") from exc
    if manifest.format != FORMAT:
        raise KitRefused(f"{path}: MALFORMED: of form {manifest.format!r}, this program reads {FORMAT}")
    if manifest.kind != kind:
        raise KitRefused(f"{path}: KIND: this is {_said(manifest.kind)}, and {_said(kind)} is needed here")
    return manifest


def _said(kind: str) -> str:
    return {"invitation": "a node's invitation", "welcome": "the coordinator's welcome", "logs": "a node's logs"}.get(
        kind, f"a {kind!r}"
    )
