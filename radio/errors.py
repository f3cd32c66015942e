"""The exceptions of radios, by who is at fault: the device, the caller, or a recording."""


class RadioError(Exception):
    """Root of every error a radio driver raises; the message names the device or setting and the remedy."""


class HardwareError(RadioError):
    """The device or the way to it failed: its transmit state is unknown until a mute is verified."""


class Disconnected(HardwareError):
    """No device answers, or the connection was lost."""


class ReceiveTimeout(HardwareError):
    """The device did not deliver samples within its deadline."""


class LocalError(RadioError):
    """The caller asked for something this radio or this host cannot do."""


class LibraryMissing(LocalError):
    """A system library or package that this kind of radio needs is not installed."""


class SettingRefused(LocalError):
    """A frequency, rate, gain or size is outside what the radio's profile allows."""


class SourceError(LocalError):
    """A recording or source name cannot be opened or understood."""


class EndOfRecording(LocalError):
    """A finite source has no more samples."""
