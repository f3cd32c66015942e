"""A trial's file and what the kit makes of it, for tests that need no running node."""

from pathlib import Path

TRIAL = """\
network = "harbour"
band = "3550-3570MHz"
simulated = true

[authority]
name = "coast"
area = "36.95N 76.30W 20km"
max_eirp = "30dBm"
life = "30d"

[rule]
classes = ["cbrs"]

[[nodes]]
name = "holder"
role = "holder"
place = "36.95N 76.30W"
radio = { uri = "ip:127.0.0.1:30441", serial = "SIM-0001" }
listen = "127.0.0.1:4711"
door = "127.0.0.1:4713"
offers = [{ band = "3560-3570MHz", for = "5min", eirp = "20dBm" }]

[[nodes]]
name = "alice"
role = "user"
place = "36.953N 76.2966W"
radio = { uri = "ip:127.0.0.1:30442", serial = "SIM-0002" }
listen = "127.0.0.1:4712"
door = "127.0.0.1:4714"
wants = [{ band = "3560-3570MHz", for = "2min", eirp = "20dBm" }]
"""


def written(folder: Path, text: str = TRIAL, name: str = "harbour") -> Path:
    """A trial's file in a folder."""
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path
