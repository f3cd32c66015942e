"""A node's configuration as text, with a simulated radio at 4 MS/s."""

from pathlib import Path


def node_config(folder: Path, samples: str, radio: str = "") -> str:
    return f"""
name = "n"
role = "user"
network = "trial"
listen = "tcp://127.0.0.1:0"
folder = "{folder}"
run_folder = "{folder}/run"
anchors = ["{"00" * 32}"]
rule = "{folder}/rule.signed"
area_radius_mm = 1000
channels = [{{ low_hz = 3_554_000_000, high_hz = 3_557_000_000 }}]

{samples}
[radio]
endpoint = "ipc://{folder}/air"
station = "n"
rx_center_hz = 3_555_500_000
sample_rate_hz = 4_000_000
rx_bandwidth_hz = 3_600_000
burst_us = 6_000
{radio}
[place]
[clock]
sources = [{{ kind = "simulated", clock = {{ utc_at_zero_ns = 1_800_000_000_000_000_000 }} }}]
"""
