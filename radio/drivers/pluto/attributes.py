"""Reads and writes attributes of one libiio context by name; every failure is raised as HardwareError."""

import errno
from typing import Any

from radio.drivers.pluto.layout import DAC, PHY, Attribute
from radio.drivers.pluto.libiio import translated
from radio.errors import HardwareError

UNREADABLE = frozenset({errno.EINVAL, errno.EACCES, errno.EIO, errno.ENODATA, errno.EOPNOTSUPP})
"""Error numbers of an attribute that cannot be read at present, while the connection still works."""

ATTENUATIONS = tuple(Attribute(PHY, f"voltage{number}", True, "hardwaregain") for number in range(2))
TONES = tuple(Attribute(DAC, f"altvoltage{number}", True, name) for name in ("raw", "scale") for number in range(8))


class Attributes:
    """The attributes of one context. libiio lists them anew at each request, so they are listed once here."""

    def __init__(self, context: Any, what: str) -> None:
        """`what` names the device in messages."""
        self._context, self._what = context, what
        self._devices: dict[str, Any] = {}
        self._channels: dict[tuple[str, str, bool], Any] = {}
        self._found: dict[Attribute, Any] = {}

    def has(self, wanted: Attribute) -> bool:
        """Whether this firmware has an attribute; raises HardwareError when it cannot be told."""
        return self._search(wanted) is not None

    def existing(self, wanted: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
        """The given attributes that this firmware has; raises HardwareError when it cannot be told."""
        return tuple(one for one in wanted if self.has(one))

    def read(self, wanted: Attribute) -> str:
        """An attribute's text; raises HardwareError."""
        native = self._native(wanted)
        try:
            return str(native.value)
        except (OSError, UnicodeDecodeError) as exc:
            raise translated(exc, f"{self._what}: {wanted}") from exc

    def read_or_error(self, wanted: Attribute) -> str:
        """An attribute's text, or `error N` where it cannot be read now; raises HardwareError when the way is lost."""
        native = self._native(wanted)
        try:
            return str(native.value)
        except OSError as exc:
            if exc.errno in UNREADABLE:
                return f"error {exc.errno}"
            raise translated(exc, f"{self._what}: {wanted}") from exc
        except UnicodeDecodeError as exc:
            raise translated(exc, f"{self._what}: {wanted}") from exc

    def write(self, wanted: Attribute, text: str) -> None:
        """Set an attribute; raises HardwareError."""
        native = self._native(wanted)
        try:
            native.value = text
        except OSError as exc:
            raise translated(exc, f"{self._what}: {wanted}") from exc

    @property
    def attenuations(self) -> tuple[Attribute, ...]:
        """The attenuation attributes of all transmitters of this unit: one, or two with its second channel in use."""
        return self.existing(ATTENUATIONS)

    @property
    def tones(self) -> tuple[Attribute, ...]:
        """The switch and the level attribute of every tone generator; raises HardwareError."""
        return self.existing(TONES)

    def _native(self, wanted: Attribute) -> Any:
        native = self._search(wanted)
        if native is None:
            raise HardwareError(f"this firmware has no {wanted}; install the maker's own firmware on the device")
        return native

    def _search(self, wanted: Attribute) -> Any:
        if wanted not in self._found:
            self._found[wanted] = self._look_up(wanted)
        return self._found[wanted]

    def _look_up(self, wanted: Attribute) -> Any:
        if wanted.device not in self._devices:
            self._devices[wanted.device] = self._context.find_device(wanted.device)
        device = self._devices[wanted.device]
        if device is None:
            return None
        if not wanted.channel:
            return (device.debug_attrs if wanted.debug else device.attrs).get(wanted.name)
        key = (wanted.device, wanted.channel, wanted.output)
        if key not in self._channels:
            self._channels[key] = device.find_channel(wanted.channel, wanted.output)
        channel = self._channels[key]
        return None if channel is None else channel.attrs.get(wanted.name)
