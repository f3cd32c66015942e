"""Matplotlib figures that show every text literally: `$` in a file's or a node's name starts no formula.

Matplotlib raises for text that it takes for a malformed formula, and names come from strangers.
"""

import matplotlib as mpl
from matplotlib.figure import Figure

mpl.rcParams["text.parse_math"] = False

__all__ = ["Figure"]
