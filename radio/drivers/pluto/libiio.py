"""The only module that imports libiio: lazily, with its failures raised as HardwareError and every wait with a timeout.

Without the system library `import adi` raises OSError or FileNotFoundError, not ImportError; all are caught here.
"""

import ctypes.util
import errno
import importlib
import os
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

from radio.drivers.bounded import bounded
from radio.errors import Disconnected, HardwareError, LibraryMissing, ReceiveTimeout, SettingRefused

LIBRARY: Final = "BANDPACT_LIBIIO"
"""Environment variable: path of a libiio.so.0 to use instead of the system's."""
MISSING: Final = (
    "the Pluto driver needs libiio: run 'sudo apt-get install libiio0' and 'pip install bandpact[pluto]' "
    "(in a source tree: sh deploy/libiio.sh .venv/parts)"
)
LINK_ERRORS: Final = frozenset(
    {
        errno.EPIPE,
        errno.ECONNRESET,
        errno.ENOTCONN,
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.EBADF,
        errno.ENODEV,
        # A device on USB that was unplugged, or came back under another number.
        errno.ENXIO,
        errno.ESHUTDOWN,
        errno.EPROTO,
        errno.ENOENT,
    }
)
_open: dict[int, tuple[Any, Any]] = {}
"""Every open buffer and its context: garbage collection may free the context before the buffer, which crashes."""


@cache
def binding(name: Literal["iio", "adi"]) -> ModuleType:
    """Import libiio's binding, or Analog Devices' classes for boards; raises LibraryMissing with what to install."""
    own = _own_library()
    found = ctypes.util.find_library
    try:
        if own is not None:
            _preload(own.parent)
            ctypes.util.find_library = lambda name: str(own) if name == "iio" else found(name)
        return importlib.import_module(name)
    except (ImportError, OSError, AttributeError, TypeError) as exc:
        raise LibraryMissing(f"{MISSING}; now: {exc}") from exc
    finally:
        ctypes.util.find_library = found


def _own_library() -> Path | None:
    """A libiio unpacked beside the virtual environment, or named by the environment variable; None without one."""
    named = os.environ.get(LIBRARY)
    if named:
        return Path(named)
    if ctypes.util.find_library("iio") is not None:
        return None
    return next(iter(sorted(Path(sys.prefix).glob("parts/libiio/usr/lib/*/libiio.so.0"))), None)


def _preload(folder: Path) -> None:
    """Load the libraries beside an unpacked libiio, which the loader does not find; skip one that does not load."""
    left = sorted(one for one in folder.glob("*.so.*") if not one.name.startswith("libiio."))
    while left:
        failed = []
        for one in left:
            try:
                ctypes.CDLL(str(one), mode=ctypes.RTLD_GLOBAL)
            except OSError:
                failed.append(one)
        if len(failed) == len(left):
            return
        left = failed


def connect(uri: str, *, timeout_ms: int) -> Any:
    """Open a separate context to a device; raises Disconnected."""
    iio = binding("iio")

    def make() -> Any:
        context = iio.Context(uri)
        context.set_timeout(timeout_ms)
        return context

    try:
        return bounded(make, seconds=timeout_ms / 1000 + 0.5, what=uri)
    except (OSError, UnicodeDecodeError) as exc:
        raise Disconnected(f"{uri}: {exc}; is the device on, and this its address?") from exc


def open_buffer(device: Any, samples: int, *, cyclic: bool = False) -> Any:
    """Open a buffer on a device with its channels enabled; close it with `destroy`. Raises OSError."""
    buffer = binding("iio").Buffer(device, samples, cyclic)
    _open[id(buffer)] = (buffer, device.ctx)
    return buffer


def destroy(buffer: Any) -> None:
    """Close a buffer now; closing it again does nothing."""
    kept = _open.get(id(buffer))
    fields = vars(buffer) if kept is not None else {}
    native, fields["_buffer"] = fields.get("_buffer"), None
    if native is not None:
        vars(binding("iio"))["_buffer_destroy"](native)
        del _open[id(buffer)]


def translated(exc: Exception, what: str) -> HardwareError:
    """The HardwareError for an error that libiio raised."""
    if isinstance(exc, HardwareError):
        return exc
    number = exc.errno if isinstance(exc, OSError) else None
    if number == errno.ETIMEDOUT:
        return ReceiveTimeout(f"{what}: the device timed out")
    if number in LINK_ERRORS:
        return Disconnected(f"{what}: the connection is lost ({exc}); its transmit state is unknown")
    if number == errno.EBUSY:
        return HardwareError(f"{what}: {exc}: another program uses it; end that program, then try again")
    return HardwareError(f"{what}: {type(exc).__name__}: {exc}")


def versions(context: Any) -> tuple[str, ...]:
    """Versions of libiio as `MAJOR.MINOR`: on this host, and on the device behind a context."""
    own = vars(binding("iio")).get("version")
    return tuple(f"{one[0]}.{one[1]}" for one in (own, context.version) if isinstance(one, tuple) and len(one) >= 2)


def serials() -> dict[str, str]:
    """Return the URI of every device that libiio finds by itself (USB, mDNS), by serial number.

    Raises: SettingRefused where one serial number is found at two URIs.
    """
    iio = binding("iio")
    found: dict[str, str] = {}
    try:
        contexts: dict[str, str] = iio.scan_contexts()
    except OSError:
        return found
    for uri, description in contexts.items():
        named = re.search(r"serial=([0-9A-Za-z_.-]+)", description)
        if named is not None:
            if named[1] in found and found[named[1]] != uri:
                raise SettingRefused(
                    f"serial {named[1]} is found at {found[named[1]]} and at {uri}; give the address of the one meant"
                )
            found[named[1]] = uri
    return found
