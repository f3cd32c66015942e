"""Secret keys, credential chains and signed rules as files; secrets are 0600 and never overwritten."""

import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from agent.config.settings import ConfigError
from hw_profiles.smallfile import read_small, read_small_text
from hw_profiles.wholefile import SECRET_MODE, WholeFile, write_together
from settlement.chain.keys import SigningKey

if TYPE_CHECKING:  # a warden only reads chains: it has no transport key, so it loads no ZeroMQ
    from settlement.mesh import TransportKey

SIGN, TRANSPORT, CHAIN = "sign.key", "transport.key", "credential.chain"
_ENCRYPTED = "encrypted:"
_CHAIN_MAX_BYTES = 1 << 20


def secret_file(path: Path, secret: bytes, passphrase: str | None = None) -> WholeFile:
    """Return a new secret file, readable by its owner alone, encrypted with a passphrase if given; never overwrites."""
    text = secret.hex() if passphrase is None else _sealed(secret, passphrase)
    return WholeFile(path=path, data=(text + "\n").encode(), mode=SECRET_MODE, replace=False)


def text_file(path: Path, text: str, *, replace: bool = True) -> WholeFile:
    """Return a text file that everyone may read."""
    return WholeFile(path=path, data=text.encode(), replace=replace)


def write_files(*files: WholeFile) -> None:
    """Write files that belong together: all of them or none. Raises ConfigError."""
    try:
        write_together(files)
    except FileExistsError as exc:
        secret = any(str(file.path) == exc.filename and file.mode == SECRET_MODE for file in files)
        mend = "a key is there already; move it away first, keys are never overwritten"
        raise ConfigError(f"{exc.filename}: {mend if secret else 'there already; move it away first'}") from exc
    except OSError as exc:
        raise ConfigError(f"{exc.filename}: {exc.strerror}; free space, or choose a place you can write to") from exc


def write_secret(path: Path, secret: bytes, passphrase: str | None = None) -> None:
    """Write a new secret, as `secret_file` says. Raises ConfigError."""
    write_files(secret_file(path, secret, passphrase))


OTHERS_WRITE: Final = 0o022


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Create a folder where missing; it is removed again if it stays empty because writing into it failed.

    Whoever can write to the folder could replace keys and credentials: a new folder is writable by its owner only,
    whatever the umask, and an existing one that everybody may write to is refused.
    Raises ConfigError.
    """
    there = folder.exists()
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
        if not there:
            folder.chmod(stat.S_IMODE(mode) & ~OTHERS_WRITE)
    except OSError as exc:
        raise ConfigError(f"{folder}: {exc.strerror}; choose a folder you can write to") from exc
    if there and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise ConfigError(f"{folder}: everybody can write there; run: chmod o-w {folder}")
    try:
        yield
    except BaseException:
        with suppress(OSError):
            if not there:
                folder.rmdir()
        raise


def _stretched(passphrase: str, salt: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(Scrypt(salt=salt, length=32, n=1 << 15, r=8, p=1).derive(passphrase.encode()))


def _sealed(secret: bytes, passphrase: str) -> str:
    """Encrypt a secret with Scrypt (RFC 7914) and ChaCha20-Poly1305 (RFC 8439), as one line of hexadecimal."""
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    return _ENCRYPTED + (salt + nonce + _stretched(passphrase, salt).encrypt(nonce, secret, None)).hex()


def _opened(path: Path, text: str, passphrase: str | None) -> bytes:
    if passphrase is None:
        raise ConfigError(f"{path}: this key is encrypted; set BANDPACT_PASSPHRASE")
    data = bytes.fromhex(text.removeprefix(_ENCRYPTED))
    try:
        return _stretched(passphrase, data[:16]).decrypt(data[16:28], data[28:], None)
    except InvalidTag as exc:
        raise ConfigError(f"{path}: wrong passphrase, or the file was changed") from exc


def read_key(path: Path, passphrase: str | None = None) -> SigningKey:
    """Read a signing key. Raises ConfigError."""
    return SigningKey.from_seed(read_secret(path, passphrase))


def read_secret(path: Path, passphrase: str | None = None) -> bytes:
    """Return the 32 secret bytes of a key file that only its owner may read. Raises ConfigError."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path}: others can read this key; run: chmod 600 {path}")
        text = read_small_text(path).strip()
        secret = _opened(path, text, passphrase) if text.startswith(_ENCRYPTED) else bytes.fromhex(text)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; the node's key is needed") from exc
    except ValueError as exc:
        raise ConfigError(f"{path}: not a key in hexadecimal; restore it from a backup") from exc
    if len(secret) != 32:
        raise ConfigError(f"{path}: {len(secret)} bytes instead of 32; restore it from a backup")
    return secret


def make_keys(
    folder: Path, beside: "Callable[[SigningKey, TransportKey], Sequence[WholeFile]]" = lambda *_: ()
) -> "tuple[SigningKey, TransportKey]":
    """Make a node's two keys in its folder, with the files that belong to them: all or none. Raises ConfigError."""
    from settlement.mesh import TransportKey

    seed, transport = secrets.token_bytes(32), TransportKey.generate()
    key = SigningKey.from_seed(seed)
    keys = secret_file(folder / SIGN, seed), secret_file(folder / TRANSPORT, transport.secret)
    with made_folder(folder):
        write_files(*keys, *beside(key, transport))
    return key, transport


def load_keys(folder: Path) -> "tuple[SigningKey, TransportKey]":
    """Read a node's two keys. Raises ConfigError."""
    from settlement.mesh import TransportKey

    return (
        SigningKey.from_seed(read_secret(folder / SIGN)),
        TransportKey.from_secret(read_secret(folder / TRANSPORT)),
    )


NEXT = ".next"


def make_next_key(
    folder: Path,
    passphrase: str | None = None,
    beside: Callable[[SigningKey], Sequence[WholeFile]] = lambda _: (),
) -> SigningKey:
    """Make the key that will succeed a signing key, with the files that belong to it: all or none.

    Never overwrites a next key that already waits. Raises ConfigError.
    """
    seed = secrets.token_bytes(32)
    key = SigningKey.from_seed(seed)
    write_files(secret_file(folder / (SIGN + NEXT), seed, passphrase), *beside(key))
    return key


def take_over(folder: Path) -> None:
    """Replace the present key and credential by the next ones; the old files are kept beside them.

    May be called again after an interruption at any point.
    """
    if (folder / SIGN).is_file():
        kid = read_key(folder / SIGN).kid.hex()
        if (folder / (CHAIN + NEXT)).is_file():
            if (folder / CHAIN).is_file():
                (folder / CHAIN).replace(folder / former_chain(kid))
            (folder / (CHAIN + NEXT)).replace(folder / CHAIN)
        (folder / SIGN).replace(folder / f"{SIGN}.{kid}")
    (folder / (SIGN + NEXT)).replace(folder / SIGN)


def former_chain(kid: str) -> str:
    """Return the file name of a succeeded credential, by its key id in hexadecimal."""
    return f"credential.{kid}.chain"


def former_keys(folder: Path) -> list[tuple[SigningKey, tuple[bytes, ...]]]:
    """Return the succeeded keys with their credentials. Raises ConfigError."""
    found = []
    for path in sorted(folder.glob(former_chain("*"))):
        key = folder / f"{SIGN}.{path.name.split('.')[1]}"
        found.append((read_key(key), load_chain(path)))
    return found


def former_chains(folder: Path) -> list[tuple[bytes, ...]]:
    """Return the credentials of succeeded keys; needs none of the keys. Raises ConfigError."""
    return [load_chain(path) for path in sorted(folder.glob(former_chain("*")))]


def chain_file(path: Path, chain: tuple[bytes, ...], *, replace: bool = True) -> WholeFile:
    """Return a file of raw records, root first."""
    return WholeFile(path=path, data=cbor2.dumps(list(chain)), replace=replace)


def write_chain(path: Path, chain: tuple[bytes, ...]) -> None:
    """Write raw records, root first. Raises ConfigError."""
    write_files(chain_file(path, chain))


def load_chain(path: Path) -> tuple[bytes, ...]:
    """Read raw records, root first; the registry verifies them. Raises ConfigError."""
    try:
        data = read_small(path)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; ask whoever issued it for this file") from exc
    return chain_in(data, path)


def chain_in(data: bytes, path: Path) -> tuple[bytes, ...]:
    """Parse the raw records in the bytes of a chain file, root first. Raises ConfigError."""
    try:
        records = cbor2.loads(data) if len(data) <= _CHAIN_MAX_BYTES else None
    except cbor2.CBORDecodeError as exc:
        raise ConfigError(f"{path}: not a credential chain: {exc}; ask whoever issued it for it again") from exc
    if not isinstance(records, list) or not records or not all(isinstance(r, bytes) for r in records):
        raise ConfigError(f"{path}: not a credential chain; ask whoever issued it for it again")
    return tuple(records)
