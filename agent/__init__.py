"""The daemon, its wiring to clocks and radios, the command line and the trial."""

import os

# No plugin of another package looks into the models here, and nothing searches the installed ones for it: a fifth of a
# second in every process.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
