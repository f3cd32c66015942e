"""The command line: one module for each command, which imports what it runs when it runs."""

import os

# `--help` in plain text: loading what would draw boxes around it takes twice as long as all the rest.
os.environ.setdefault("TYPER_USE_RICH", "0")
