"""The command line: one module per command, which imports what it needs only when it runs."""

import os

# `--help` is plain text: loading the library that draws boxes around it takes twice as long as everything else.
os.environ.setdefault("TYPER_USE_RICH", "0")
