"""GNU Radio's own blocks for these boards, run by the system's Python: `gnuradioclient.py URI RATE FILTER`.

Receives, prints how many samples came and how they spread, then transmits; FILTER is a file of ADI's format, or `auto`.
"""

import os
import sys

import numpy as np
from gnuradio import blocks, gr, iio

SAMPLES = 65_536


def main(uri: str, rate_hz: int, taps: str) -> None:
    """Receive, then transmit."""
    chosen = ("Auto", "") if taps == "auto" else ("File", taps)
    receiving = gr.top_block()
    source = iio.fmcomms2_source_fc32(uri, [True, True, False, False], 32_768)
    source.set_len_tag_key("")
    source.set_frequency(3_555_000_000)
    source.set_samplerate(rate_hz)
    source.set_gain_mode(0, "manual")
    source.set_gain(0, 60)
    source.set_quadrature(True)
    source.set_rfdc(True)
    source.set_bbdc(True)
    source.set_filter_params(*chosen, 0, 0)
    taken = blocks.vector_sink_c()
    receiving.connect(source, blocks.head(gr.sizeof_gr_complex, SAMPLES), taken)
    receiving.run()
    samples = np.array(taken.data())
    print("received", len(samples), float(np.std(samples)), flush=True)
    sending = gr.top_block()
    sink = iio.fmcomms2_sink_fc32(uri, [True, True, False, False], 32_768, False)
    sink.set_len_tag_key("")
    sink.set_frequency(2_460_000_000)
    sink.set_samplerate(rate_hz)
    sink.set_bandwidth(rate_hz)
    sink.set_attenuation(0, 30.0)
    sink.set_filter_params(*chosen, 0, 0)
    sending.connect(blocks.vector_source_c([0.5 + 0j] * SAMPLES), sink)
    sending.run()
    print("sent", flush=True)
    # Its overflow-monitoring threads end only with the process.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
