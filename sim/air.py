"""The simulated propagation: computes the samples of a station's receiver from all emissions on the air.

Pure: emissions, settings and times go in, int16 samples come out. The same configuration, emissions and span give the
same bytes. Fields are in units of the receiver's ADC; powers are of complex samples.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from radio.ports import Iq16, RxSettings
from radio.propagation import Position, delay_ns, distance_m, loss_db
from radio.signals.shapes import Cplx
from sim import receiver
from sim.emitters import Waveform, waveform
from sim.mixer import TAPS, Reader, band_pass, converted, filtered, phasor, reader
from sim.stations import AirConfig, Emitter, Station

NS = 1_000_000_000
REACH = TAPS // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """Samples that left a station's antenna: `iq` shape (n, 2) from `start_ns` until `end_ns`, whichever ends first."""

    station: str
    iq: Iq16
    start_ns: int
    end_ns: int
    center_hz: int
    sample_rate_hz: int
    attenuation_mdb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """A steady tone from a station: at `level_db` relative to full scale, or at its oscillator's leakage."""

    station: str
    start_ns: int
    end_ns: int
    center_hz: int
    attenuation_mdb: int
    level_db: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """The common data of one look: sample grid, pass band, and the span with filter margins."""

    station: Station
    settings: RxSettings
    first: int
    samples: int

    @property
    def half_band_hz(self) -> float:
        """Half of the band that passes the receiver's filter, its slopes included."""
        rate = self.settings.sample_rate_hz
        return min(self.settings.bandwidth_hz / 2 + 0.06 * rate, rate / 2)


class Air:
    """An air with its stations and static emitters; holds their waveforms, no history."""

    def __init__(self, config: AirConfig) -> None:
        """Prepare the static emitters; raises SourceError where one is impossible."""
        self._config = config
        self._stations = {station.name: station for station in config.stations}
        self._emitters: list[tuple[Emitter, Waveform]] = [
            (emitter, waveform(emitter, seed=config.seed)) for emitter in config.emitters
        ]

    def receive(
        self,
        *,
        station: str,
        settings: RxSettings,
        start_ns: int,
        samples: int,
        emissions: Sequence[Emission] = (),
        tones: Sequence[Tone] = (),
    ) -> Iq16:
        """The ADC samples of a station's receiver from `start_ns` (monotonic) on, shape (samples, 2).

        The first sample is the first of the receiver's grid at or after `start_ns`.
        """
        home = self._stations[station]
        look = _Look(
            station=home,
            settings=settings,
            first=self.grid_index(start_ns, settings.sample_rate_hz) - REACH,
            samples=samples + 2 * REACH,
        )
        field = receiver.noise(
            home.hardware,
            settings,
            seed=(self._config.seed, zlib.crc32(station.encode())),
            first=look.first,
            samples=look.samples,
        )
        for emission in emissions:
            self._add_emission(field, look, emission)
        for tone in tones:
            self._add_tone(field, look, tone)
        for emitter, shape in self._emitters:
            self._add_static(field, look, emitter, shape)
        return receiver.digitise(field, home.hardware, settings)

    def grid_index(self, at_ns: int, rate_hz: int) -> int:
        """Return the number of the first sample of a grid at or after a monotonic time."""
        return -(-(at_ns - self._config.zero_ns) * rate_hz // NS)

    def level_dbm(self, *, station: str, emitter: str) -> float:
        """Return the power of a static emitter at a station's antenna port, in dBm."""
        chosen = next(one for one, _ in self._emitters if one.name == emitter)
        home = self._stations[station]
        return chosen.eirp_dbm - self._loss_db(home, chosen.position, chosen.center_hz) + home.antenna_gain_dbi

    def _loss_db(self, home: Station, other: Position, center_hz: int) -> float:
        away_m = distance_m(home.position, other)
        return loss_db(away_m, center_hz, model=self._config.propagation)

    def _link(self, home: Station, sender: Station, center_hz: int) -> tuple[float, int]:
        """Path gain in dB from connector to connector, and delay in ns; a station receives itself by leakage."""
        if sender.name == home.name:
            return -home.hardware.isolation_db, 0
        away_m = distance_m(home.position, sender.position)
        loss = loss_db(away_m, center_hz, model=self._config.propagation)
        return sender.antenna_gain_dbi + home.antenna_gain_dbi - loss, delay_ns(away_m)

    def _add_emission(self, field: Cplx, look: _Look, emission: Emission) -> None:
        sender = self._stations[emission.station]
        path_db, late_ns = self._link(look.station, sender, emission.center_hz)
        rate = emission.sample_rate_hz
        at = self.grid_index(emission.start_ns + late_ns, rate)
        length = min(len(emission.iq), max(0, -(-(emission.end_ns - emission.start_ns) * rate // NS)))
        full = sender.hardware.tx_full_scale
        level_dbm = sender.hardware.tx_full_dbm - emission.attenuation_mdb / 1000 + path_db
        begin, end = _overlap(look, at, at + length, rate)
        if end <= begin:
            return
        wave = _Wave(
            read=_reader_of(emission.iq[:length], at, full),
            rate_hz=rate,
            center_hz=emission.center_hz,
            amplitude=receiver.amplitude(look.station.hardware, look.settings, level_dbm) / full,
        )
        _add(field, look, wave, begin, end)

    def _add_tone(self, field: Cplx, look: _Look, tone: Tone) -> None:
        sender = self._stations[tone.station]
        path_db, late_ns = self._link(look.station, sender, tone.center_hz)
        hardware = sender.hardware
        relative_db = hardware.lo_leakage_db if tone.level_db is None else tone.level_db
        level_dbm = hardware.tx_full_dbm + relative_db - tone.attenuation_mdb / 1000 + path_db
        amplitude = receiver.amplitude(look.station.hardware, look.settings, level_dbm)
        shift = tone.center_hz - look.settings.center_hz
        if amplitude < receiver.TONE_FLOOR_LSB or abs(shift) > look.half_band_hz:
            return
        rate = look.settings.sample_rate_hz
        begin = max(0, self.grid_index(tone.start_ns + late_ns, rate) - look.first)
        end = min(look.samples, self.grid_index(tone.end_ns + late_ns, rate) - look.first)
        if end > begin:
            field[begin:end] += np.float32(amplitude) * phasor(
                shift, rate_hz=rate, first=look.first + begin, samples=end - begin
            )

    def _add_static(self, field: Cplx, look: _Look, emitter: Emitter, shape: Waveform) -> None:
        level_dbm = self.level_dbm(station=look.station.name, emitter=emitter.name)
        late_s = delay_ns(distance_m(look.station.position, emitter.position)) / NS
        on_s, off_s = emitter.start_s, float("inf") if emitter.stop_s is None else emitter.stop_s
        rate = shape.native_rate_hz(look.settings.sample_rate_hz)
        begins_at = round((on_s + late_s) * rate)
        wave = _Wave(
            read=_shifted(shape.reader(rate), begins_at),
            rate_hz=rate,
            center_hz=emitter.center_hz,
            amplitude=receiver.amplitude(look.station.hardware, look.settings, level_dbm),
        )
        for begin, end in _static_stretches(look, shape, on_s + late_s, off_s + late_s):
            _add(field, look, wave, begin, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wave:
    """A signal on its own sample grid, with its carrier and the factor to ADC units."""

    read: Reader
    rate_hz: int
    center_hz: int
    amplitude: float


def _static_stretches(look: _Look, shape: Waveform, on_s: float, off_s: float) -> Iterator[tuple[int, int]]:
    """The parts of a look, as offsets into it, in which a static emitter is heard."""
    rate = look.settings.sample_rate_hz
    start_s = max(look.first / rate, on_s)
    stop_s = min((look.first + look.samples) / rate, off_s)
    if stop_s <= start_s:
        return
    for begin_s, end_s in shape.active(start_s - on_s, stop_s - on_s):
        begin = round((max(begin_s + on_s, start_s)) * rate) - look.first
        end = round((min(end_s + on_s, stop_s)) * rate) - look.first
        pulse_margin = 0 if end - begin >= look.samples else REACH
        begin, end = max(0, begin - pulse_margin), min(look.samples, end + pulse_margin)
        if end > begin:
            yield begin, end


def _overlap(look: _Look, begin: int, end: int, rate_hz: int) -> tuple[int, int]:
    """The part of a look, as offsets into it, that samples [begin, end) of another grid reach."""
    rate = look.settings.sample_rate_hz
    margin = 0 if rate == rate_hz else REACH
    low = -(-begin * rate // rate_hz) - look.first - margin
    high = -(-end * rate // rate_hz) - look.first + margin
    return max(0, low), min(look.samples, high)


def _shifted(read: Reader, by: int) -> Reader:
    return lambda first, count: read(first - by, count)


def _reader_of(iq: Iq16, at: int, full_scale: int) -> Reader:
    """Read int16 pairs as complex64 in DAC units, clipped to the DAC's full scale, zeros beyond the ends."""

    def read(first: int, count: int) -> Cplx:
        begin, end = max(first, at), min(first + count, at + len(iq))
        rails = iq[max(0, begin - at) : max(0, end - at)].astype(np.float32)
        np.clip(rails, -full_scale, full_scale - 1, out=rails)
        return reader(rails.view(np.complex64).reshape(-1), at=begin)(first, count)

    return read


def _add(field: Cplx, look: _Look, wave: _Wave, begin: int, end: int) -> None:
    """Add a signal to part of a look: keep what the receiver can pass, shift it to its centre, convert the rate."""
    shift = wave.center_hz - look.settings.center_hz
    out_rate, in_rate = look.settings.sample_rate_hz, wave.rate_hz
    if abs(shift) >= in_rate / 2 + look.half_band_hz:
        return
    read = _guarded(wave.read, in_rate, out_rate, shift, look.half_band_hz)
    first, count = look.first + begin, end - begin
    if in_rate <= out_rate:
        part = converted(read, rate_in_hz=in_rate, rate_out_hz=out_rate, first=first, samples=count)
        part = part * phasor(shift, rate_hz=out_rate, first=first, samples=count)
    else:

        def turned(at: int, samples: int) -> Cplx:
            return read(at, samples) * phasor(shift, rate_hz=in_rate, first=at, samples=samples)

        part = converted(turned, rate_in_hz=in_rate, rate_out_hz=out_rate, first=first, samples=count)
    part *= np.float32(wave.amplitude)
    field[begin:end] += part


def _guarded(read: Reader, in_rate: int, out_rate: int, shift: int, half_band_hz: float) -> Reader:
    """Filter before the shift where what lies outside the receiver's band would wrap around into it."""
    wraps_up = abs(shift) + in_rate / 2 + half_band_hz > out_rate and in_rate <= out_rate
    wraps_down = abs(shift) + half_band_hz > in_rate / 2 and in_rate > out_rate
    if not (wraps_up or wraps_down):
        return read
    low = max(-in_rate / 2, -half_band_hz - shift)
    high = min(in_rate / 2, half_band_hz - shift)
    response = band_pass(round(low), round(high), in_rate)
    return lambda first, count: filtered(read(first - REACH, count + 2 * REACH), response)
