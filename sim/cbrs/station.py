"""A simulated commercial base station for scenarios: an independent CBSD client with a radio on the air.

    python -m sim.cbrs.station CONFIG.json

It shares no code with the product: registration, grant, heartbeats, and RF on only between a good heartbeat and its
transmitExpireTime. It writes what it was told, line by line, to `log`. With `deaf` it never falls silent: what happens
then is somebody else's to notice.
"""

import calendar
import http.client
import json
import ssl
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from radio.ports import TxSettings
from radio.process import OrphanedAtBirth, die_with_parent, stop_on_signals
from sim.radio import SimRadio

Json = dict[str, Any]
AGAIN_S = 0.3
BURST_S = 0.002
PERIOD_S = 0.02


@dataclass(slots=True)
class BaseStation:
    """The control part: the next request, and until when RF may be on (s since the Unix epoch)."""

    config: Json
    context: ssl.SSLContext
    cbsd: str | None = None
    grant: str | None = None
    until_s: float = 0.0
    beat_s: float = 1.0
    next_s: float = 0.0
    ever: bool = False
    lines: list[str] = field(default_factory=list)

    def turn(self, now_s: float) -> None:
        """Send the requests that are due."""
        if now_s < self.next_s:
            return
        self.next_s = now_s + AGAIN_S
        try:
            if self.cbsd is None:
                self._register()
            elif self.grant is None:
                self._ask()
            else:
                self._beat(now_s)
        except (OSError, ssl.SSLError, ValueError, KeyError, http.client.HTTPException) as exc:
            self.lines.append(f"{now_s:.3f} no answer: {type(exc).__name__}")

    def _post(self, method: str, item: Json) -> Json:
        made = http.client.HTTPSConnection("localhost", self.config["port"], context=self.context, timeout=3)
        try:
            body = json.dumps({f"{method}Request": [item]})
            made.request("POST", f"/v1.2/{method}", body, {"Content-Type": "application/json"})
            answer: Json = json.loads(made.getresponse().read())[f"{method}Response"][0]
        finally:
            made.close()
        self.lines.append(f"{time.time():.3f} {method} {json.dumps(answer)}")
        return answer

    def _register(self) -> None:
        answer = self._post("registration", self.config["registration"])
        if answer["response"]["responseCode"] == 0:
            self.cbsd = answer["cbsdId"]

    def _ask(self) -> None:
        answer = self._post("grant", {"cbsdId": self.cbsd, "operationParam": self.config["operation"]})
        if answer["response"]["responseCode"] == 0:
            self.grant, self.ever, self.next_s = answer["grantId"], False, 0.0

    def _beat(self, now_s: float) -> None:
        state = "AUTHORIZED" if self.ever and now_s < self.until_s else "GRANTED"
        answer = self._post("heartbeat", {"cbsdId": self.cbsd, "grantId": self.grant, "operationState": state})
        code = answer["response"]["responseCode"]
        if code == 0:
            self.until_s = float(calendar.timegm(time.strptime(answer["transmitExpireTime"], "%Y-%m-%dT%H:%M:%SZ")))
            self.ever = True
            self.next_s = now_s + min(float(answer.get("heartbeatInterval", 1)), 1.0) * 0.8
            return
        self.until_s = 0.0
        if code != 501:
            self.grant = None


def _burst(rate_hz: int, full: int, seed: int) -> Any:
    """Noise over 7 MHz, 12 dB below full scale."""
    rng, count = np.random.default_rng(seed), int(rate_hz * BURST_S)
    spectrum = np.zeros(count, dtype=complex)
    half = int(count * 3_500_000 / rate_hz)
    spectrum[1:half] = rng.standard_normal(half - 1) + 1j * rng.standard_normal(half - 1)
    spectrum[-half:] = rng.standard_normal(half) + 1j * rng.standard_normal(half)
    wave = np.fft.ifft(spectrum)
    ramp = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / (count * 0.05))
    wave = wave * ramp
    wave *= full / 4 / np.sqrt(np.mean(np.abs(wave) ** 2))
    clipped = np.clip(np.stack([wave.real, wave.imag], axis=1), -full, full)
    return np.ascontiguousarray(clipped.round().astype(np.int16))


def main(arguments: list[str]) -> int:
    """Run until SIGTERM."""
    stop = stop_on_signals()
    try:
        die_with_parent()
    except OrphanedAtBirth:
        return 0
    config = json.loads(Path(arguments[0]).read_text())
    context = ssl.create_default_context(cafile=config["roots"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(config["certificate"], config["key"])
    station = BaseStation(config, context)
    span = config["operation"]["operationFrequencyRange"]
    radio: SimRadio | None = None
    iq, on, ever_on, deaf = None, False, False, bool(config.get("deaf"))
    with Path(config["log"]).open("a", buffering=1) as log:
        while not stop.is_set():
            now_s = time.time()
            station.turn(now_s)
            while station.lines:
                log.write(station.lines.pop(0) + "\n")
            wanted = now_s + BURST_S * 2 < station.until_s or (deaf and ever_on)
            ever_on = ever_on or wanted
            if wanted and radio is None:
                radio = SimRadio(config["air"], config["station"])
                iq = _burst(config["rate_hz"], config["full"], config["seed"])
            if radio is not None and wanted != on:
                if wanted:
                    radio.tune_tx(
                        TxSettings(
                            center_hz=(span["lowFrequency"] + span["highFrequency"]) // 2,
                            sample_rate_hz=config["rate_hz"],
                            bandwidth_hz=config["rate_hz"],
                            attenuation_mdb=config["attenuation_mdb"],
                        )
                    )
                else:
                    radio.mute()
                on = wanted
            if on and radio is not None and iq is not None:
                radio.send(iq)
            stop.wait(PERIOD_S)
    if radio is not None:
        radio.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
