"""Waveforms of static emitters: endless, repeatable, rendered only where a look needs them."""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from radio.errors import SourceError
from radio.signals import ofdm
from radio.signals.shapes import Cplx
from sim.mixer import Reader
from sim.recording import load
from sim.stations import Emitter
from sim.waveforms import fm, hopping, radar, wifi

RATE_HZ_MIN = 8_000
RATE_HZ_MAX = 122_880_000

Active: TypeAlias = list[tuple[float, float]]


class Waveform(Protocol):
    """An endless signal of unit power (unit peak for pulses) around 0 Hz; its sample 0 is at time 0."""

    def native_rate_hz(self, wanted_hz: int, /) -> int:
        """The sample rate to read at, for a receiver of rate `wanted_hz`."""
        ...

    def active(self, start_s: float, stop_s: float) -> Active:
        """The parts of [start_s, stop_s) in which the signal may be on."""
        ...

    def reader(self, rate_hz: int, /) -> Reader:
        """A function that reads samples, at a rate returned by `native_rate_hz`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """A signal that repeats stored samples endlessly."""

    iq: Cplx
    rate_hz: int

    def native_rate_hz(self, _wanted_hz: int, /) -> int:
        """Always the rate of the samples."""
        return self.rate_hz

    def active(self, start_s: float, stop_s: float) -> Active:
        """Always on."""
        return [(start_s, stop_s)]

    def reader(self, _rate_hz: int, /) -> Reader:
        """A function that reads samples, wrapping round at the end."""

        def read(first: int, count: int) -> Cplx:
            begin = first % len(self.iq)
            if begin + count <= len(self.iq):
                return self.iq[begin : begin + count]
            return np.take(self.iq, np.arange(begin, begin + count), mode="wrap")

        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulses:
    """A radar's pulse train."""

    train: radar.Radar

    def native_rate_hz(self, wanted_hz: int, /) -> int:
        """The receiver's rate times an integer that resolves the pulse."""
        return wanted_hz * math.ceil(max(self.train.width_hz, wanted_hz) / wanted_hz)

    def active(self, start_s: float, stop_s: float) -> Active:
        """One stretch for each pulse."""
        times = radar.pulse_times(self.train, start_s=start_s, stop_s=stop_s)
        return [(at, at + self.train.pulse_s) for at, _, _ in times]

    def reader(self, rate_hz: int, /) -> Reader:
        """A function that reads samples of the pulse train from a sample number on."""
        return lambda first, count: radar.render(self.train, sample_rate_hz=rate_hz, start=first, samples=count)


def waveform(emitter: Emitter, *, seed: int) -> Waveform:
    """Return the emitter's signal; the same seed and emitter give the same samples.

    Raises:
        SourceError: the generator's parameters are unknown or impossible, or the recording cannot be read.
    """
    rng = np.random.default_rng([seed, zlib.crc32(emitter.name.encode())])
    try:
        return _BUILDERS[emitter.kind](rng, dict(emitter.params))
    except (TypeError, ValueError, KeyError, ArithmeticError) as exc:
        raise SourceError(f"emitter {emitter.name}: {_plain(exc)}; mend its parameters") from exc


def _plain(exc: Exception) -> str:
    text = str(exc).removeprefix("generate() ").removeprefix("Radar.__init__() ")
    return f"no {exc.args[0]}" if isinstance(exc, KeyError) else text


def _radar(rng: np.random.Generator, params: dict[str, Any]) -> Waveform:
    name, known = params.pop("radar_class"), [str(one.value) for one in radar.RadarClassName]
    if name not in known:
        raise ValueError(f"radar_class {name!r} is none of {', '.join(known)}")
    kind = radar.RadarClassName(name)
    interval_s = float(params.pop("burst_interval_s", 1.0))
    drawn = radar.draw(rng, kind, burst_interval_s=interval_s)
    fields = {
        name: getattr(drawn, name) for name in ("pulse_s", "chirp_hz", "pulses_per_s", "pulses_per_burst", "seed")
    }
    return Pulses(train=radar.Radar(radar_class=kind, burst_interval_s=interval_s, **{**fields, **params}))


def _recording(_rng: np.random.Generator, params: dict[str, Any]) -> Waveform:
    path = Path(str(params.pop("path")))
    if params:
        raise ValueError(f"unknown {', '.join(params)}")
    found = load(path)
    return Loop(iq=found.iq, rate_hz=found.sample_rate_hz)


def _rate(params: dict[str, Any], usual_hz: int) -> int:
    rate = int(params.pop("sample_rate_hz", usual_hz))
    if not RATE_HZ_MIN <= rate <= RATE_HZ_MAX:
        raise ValueError(f"sample_rate_hz is {rate}, it must be {RATE_HZ_MIN} to {RATE_HZ_MAX}")
    return rate


def _ofdm(rng: np.random.Generator, params: dict[str, Any]) -> Waveform:
    rate = _rate(params, 30_720_000)
    duplex = ofdm.Duplex(params.pop("duplex", "fdd"))
    return Loop(
        iq=ofdm.generate(rng, sample_rate_hz=rate, samples=None, duplex=duplex, loop=True, **params), rate_hz=rate
    )


def _looped(
    generate: Callable[..., Cplx], rate_hz: int, length_s: float
) -> Callable[[np.random.Generator, dict[str, Any]], Waveform]:
    def build(rng: np.random.Generator, params: dict[str, Any]) -> Waveform:
        rate = _rate(params, rate_hz)
        return Loop(iq=generate(rng, sample_rate_hz=rate, samples=round(rate * length_s), **params), rate_hz=rate)

    return build


def _fm(rng: np.random.Generator, params: dict[str, Any]) -> Waveform:
    params["programme"] = fm.Programme(params.get("programme", "tone"))
    return _looped(fm.generate, 240_000, 1.0)(rng, params)


_BUILDERS: dict[str, Callable[[np.random.Generator, dict[str, Any]], Waveform]] = {
    "radar": _radar,
    "recording": _recording,
    "ofdm": _ofdm,
    "wifi": _looped(wifi.generate, 20_000_000, 0.1),
    "fm": _fm,
    "hopping": _looped(hopping.generate, 16_000_000, 0.1),
}
