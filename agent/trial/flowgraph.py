"""A GNU Radio flowgraph as a node's application: sends a tone to it, counts what it receives. Needs no bandpact.

Run by the interpreter that has GNU Radio: `/usr/bin/python3 flowgraph.py --transmit ipc://… --receive ipc://… …`.
Until SIGTERM it keeps `--report` up to date: samples sent and received, and the longest that either stood still.
"""

import argparse
import json
import os
import signal
import time
from pathlib import Path

from gnuradio import analog, blocks, gr, zeromq

LOOK_S = 0.02
REPORT_S = 0.25


class ToneGraph(gr.top_block):  # type: ignore[misc]
    """Tone to a REP sink; REQ source to a counter."""

    def __init__(self, transmit: str, receive: str, rate: float, tone: float, amplitude: float) -> None:
        gr.top_block.__init__(self, "tone")
        self.source = analog.sig_source_c(rate, analog.GR_COS_WAVE, tone, amplitude)
        self.sink = zeromq.rep_sink(gr.sizeof_gr_complex, 1, transmit, 100, False, -1)
        self.connect(self.source, self.sink)
        self.heard = zeromq.req_source(gr.sizeof_gr_complex, 1, receive, 100, False, -1)
        self.level = analog.probe_avg_mag_sqrd_c(-200, 1e-5)
        self.end = blocks.null_sink(gr.sizeof_gr_complex)
        self.connect(self.heard, self.level)
        self.connect(self.heard, self.end)


class Progress:
    """How long a count stood still at most, once it had begun to move."""

    def __init__(self) -> None:
        self.count, self.still_s, self._moved = 0, 0.0, 0.0

    def note(self, count: int, now: float) -> None:
        """Note a count."""
        if count > self.count:
            if self.count:
                self.still_s = max(self.still_s, now - self._moved)
            self.count, self._moved = count, now
        elif self.count:
            self.still_s = max(self.still_s, now - self._moved)


def main() -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("transmit", "receive", "report"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("rate", "tone", "amplitude"):
        parser.add_argument(f"--{name}", type=float, required=True)
    told = parser.parse_args()
    stops: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
    graph = ToneGraph(told.transmit, told.receive, told.rate, told.tone, told.amplitude)
    sent, heard = Progress(), Progress()
    loudest, report_at = 0.0, 0.0
    graph.start()
    while not stops:
        time.sleep(LOOK_S)
        now = time.monotonic()
        sent.note(graph.sink.nitems_read(0), now)
        heard.note(graph.end.nitems_read(0), now)
        loudest = max(loudest, graph.level.level())
        if now >= report_at:
            report_at = now + REPORT_S
            fresh = Path(told.report + ".new")
            fresh.write_text(
                json.dumps(
                    {
                        "sent": sent.count,
                        "sent_still_s": round(sent.still_s, 3),
                        "received": heard.count,
                        "received_still_s": round(heard.still_s, 3),
                        "level": loudest,
                    }
                )
            )
            fresh.replace(told.report)
    graph.stop()
    os._exit(0)  # a source that waits for its socket would be waited for


if __name__ == "__main__":
    main()
