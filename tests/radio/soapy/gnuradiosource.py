"""Receives with GNU Radio's Soapy source, run by the system's Python; prints the number of samples and their power."""

import sys

from gnuradio import blocks, gr, soapy

COUNT = 40_000

top = gr.top_block()
source = soapy.source(sys.argv[1], "fc32", 1, "", "", [""], [""])
source.set_sample_rate(0, 1_920_000)
source.set_frequency(0, 3_555_000_000)
source.set_gain(0, 60)
sink = blocks.vector_sink_c()
top.connect(source, blocks.head(gr.sizeof_gr_complex, COUNT), sink)
top.run()
power = sum(abs(one) ** 2 for one in sink.data()) / COUNT
sys.stdout.write(f"{len(sink.data())} {power:.3e}\n")
