"""Figures in which every text stands as it is: a file's or a node's name with `$` in it is no formula to Matplotlib.

What Matplotlib takes for a formula that is none ends the picture, and a stranger gives names.
"""

import matplotlib as mpl
from matplotlib.figure import Figure

mpl.rcParams["text.parse_math"] = False

__all__ = ["Figure"]
