"""Renders figures as inline SVG: drawn by matplotlib, coloured by the page's style sheet, byte-identical every time."""

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any, Protocol, TypeVar

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgba
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from agent.words.figures import Figure

PT_PER_INCH = 72.0

# Placeholder colours for matplotlib; the style sheet's variables replace them, so that pictures follow the theme.
INK = "#0b0001"
MUTED = "#0b0002"
LINE = "#0b0003"
PAPER = "#0b0004"
SETTLED = "#0b0005"
SETTLED_EDGE = "#0b0006"
OPEN = "#0b0007"
BAD = "#0b0008"
ON_OPEN = "#0b0009"
RADAR = "#0b000a"
HATCH = "#0b000b"
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    PAPER: "paper",
    SETTLED: "settled",
    SETTLED_EDGE: "settled-edge",
    OPEN: "open",
    BAD: "bad",
    ON_OPEN: "on-open",
    RADAR: "radar",
    HATCH: "hatch",
}
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bandpact",
    "font.sans-serif": ["DejaVu Sans"],
    "text.parse_math": False,
    "hatch.linewidth": 0.7,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
T_co = TypeVar("T_co", covariant=True)


class Output(Protocol[T_co]):
    """Converts a finished figure, to an SVG element or a PNG."""

    def __call__(self, figure: Figure, *, prefix: str) -> T_co:
        """Convert the figure; ids in the result carry `prefix`."""
        ...


_DRAWING = threading.RLock()


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLayout:
    """A picture's width and margins, in points, and its fonts. `roomy` leaves a margin for the names of lanes."""

    name: str
    width_pt: float
    left_pt: float
    right_pt: float
    font_pt: float
    roomy: bool

    @property
    def plot_pt(self) -> float:
        """Width of the time axis."""
        return self.width_pt - self.left_pt - self.right_pt

    def text_pt(self, text: str) -> float:
        """Estimate a text's width in points."""
        return len(text) * self.font_pt * 0.6

    def fitted(self, text: str, room_pt: float) -> str:
        """Return the text, cut to the room there is."""
        kept = max(1, int(room_pt / (self.font_pt * 0.6)))
        return text if len(text) <= kept else text[: kept - 1] + "…"


WIDE = PictureLayout(name="wide", width_pt=720, left_pt=78, right_pt=8, font_pt=8.5, roomy=True)
NARROW = PictureLayout(name="narrow", width_pt=252, left_pt=30, right_pt=5, font_pt=7.5, roomy=False)


@contextmanager
def drawing() -> Iterator[None]:
    """Apply the report's settings while the context lasts; matplotlib's are global, so one thread at a time draws."""
    with _DRAWING, style.context(["default", _SETTINGS]), warnings.catch_warnings():
        # The browser draws a letter that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def new_figure(layout: PictureLayout, height_pt: float) -> Figure:
    """Return an empty figure; call inside `drawing()` only."""
    figure = Figure(figsize=(layout.width_pt / PT_PER_INCH, height_pt / PT_PER_INCH))
    FigureCanvasSVG(figure)
    return figure


def add_axes(figure: Figure, layout: PictureLayout, *, top_pt: float, height_pt: float, part: float = 1.0) -> Any:
    """Add axes across the middle `part` of the layout's time axis, `top_pt` below the figure's upper edge."""
    width, height = figure.get_size_inches() * PT_PER_INCH
    bottom = height - top_pt - height_pt
    left, across = layout.left_pt + layout.plot_pt * (1 - part) / 2, layout.plot_pt * part
    axes = figure.add_axes((left / width, bottom / height, across / width, height_pt / height))
    axes.tick_params(labelsize=layout.font_pt, length=3)
    return axes


def time_axis(axes: Any, layout: PictureLayout, span_s: tuple[float, float]) -> None:
    """Set up the time axis, the same in every picture."""
    axes.set_xlim(*span_s)
    axes.set_xlabel("seconds since the start signal", fontsize=layout.font_pt)
    axes.xaxis.set_major_locator(MaxNLocator(10 if layout.roomy else 5, steps=[1, 2, 5, 10]))


PALETTE = {
    INK: "#17212b",
    MUTED: "#55626f",
    LINE: "#d3dae1",
    PAPER: "#ffffff",
    SETTLED: "#d6e6f6",
    SETTLED_EDGE: "#2f6ea8",
    OPEN: "#0f6b63",
    BAD: "#b3261e",
    ON_OPEN: "#ffffff",
    RADAR: "#a3480a",
    HATCH: "#8d99a6",
}
"""The page's light colours, for printed pictures."""
_RASTER_DPI = 160


def printed(figure: Figure, *, prefix: str) -> bytes:
    """Return the figure as a PNG on white, placeholder colours replaced by the page's light ones. `prefix`: unused."""
    del prefix
    known = {to_hex(stand_in): real for stand_in, real in PALETTE.items()}
    boxes = [one.get_bbox_patch() for one in figure.findobj(Text) if one.get_bbox_patch() is not None]
    for artist in [*figure.findobj(), *boxes]:
        for get, put in _COLOURS:
            if hasattr(artist, get) and hasattr(artist, put):
                _recolour(getattr(artist, get)(), getattr(artist, put), known)
    out = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(out, format="png", dpi=_RASTER_DPI, facecolor="white", metadata={"Software": None})
    return out.getvalue()


_COLOURS = (
    ("get_facecolor", "set_facecolor"),
    ("get_edgecolor", "set_edgecolor"),
    ("get_color", "set_color"),
    ("get_markerfacecolor", "set_markerfacecolor"),
    ("get_markeredgecolor", "set_markeredgecolor"),
)


def _recolour(found: Any, put: Any, known: dict[str, str]) -> None:
    """Replace a placeholder by its real colour, keeping transparency."""
    try:
        one = found[0] if getattr(found, "ndim", 1) == 2 and len(found) == 1 else found
        alpha = to_rgba(one)[3]
        real = known.get(to_hex(one))
    except (ValueError, TypeError, IndexError):
        return
    if real is not None and alpha > 0:
        put(to_rgba(real, alpha))


def inline(figure: Figure, *, prefix: str) -> str:
    """Return the figure as an `<svg>` element for an HTML page.

    Ids carry `prefix`; no width, namespace, metadata, comment or style element is left; stand-in colours have become
    the style sheet's variables. It is hidden from assistive technology: the element around it carries the name.
    """
    out = StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*</defs>", "", text)
    text = re.sub(r"<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>", r'<svg viewBox="\1" aria-hidden="true">', text, count=1)
    text = re.sub(r"<[^>]+>", lambda tag: _tag(tag.group(), prefix), text)
    return re.sub(r">\s+<", ">\n<", text)


def _tag(tag: str, prefix: str) -> str:
    """Return one tag in the page's form; text between tags is not changed."""
    tag = re.sub(r"\bfont-family: [^;\"]*; |\s+transform=\"rotate\(-0 [^\"]*\"", "", tag)
    tag = tag.replace("base64,\n", "base64,").replace("xlink:href=", "href=")
    tag = re.sub(r"(?<=\s)id=\"", f'id="{prefix}-', tag)
    tag = tag.replace('href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
    for stand_in, variable in _VARIABLES.items():
        tag = tag.replace(stand_in, f"var(--{variable})")
    return tag
