"""How wide the columns of a printed table are, so that no word is broken that has room on the page. Pure."""

from collections.abc import Callable, Sequence

Measure = Callable[[str], float]
WORD_MAX_MM, TEXT_MAX_MM = 48.0, 80.0
"""A longer word, such as a hash, may be broken; a column of longer text wants no more."""


def column_widths(
    columns: Sequence[Sequence[str]], measure: Measure, *, across_mm: float, beside_mm: float
) -> list[float]:
    """Widths in mm that fill the page: each column its longest word at least, the rest by how much text it holds.

    Args: columns: the texts of each, its heading first. measure: how wide a text is printed, mm. beside_mm: what a cell
    takes beside its text, left and right together. Where even the longest words do not fit, all shrink alike.
    """
    least = [beside_mm + max(_longest_word(text, measure) for text in texts) for texts in columns]
    wished = [beside_mm + min(TEXT_MAX_MM, max(map(measure, texts))) for texts in columns]
    left = across_mm - sum(least)
    if left <= 0:
        return [width * across_mm / sum(least) for width in least]
    more = [max(0.0, wish - width) for wish, width in zip(wished, least, strict=True)]
    shares = more if sum(more) > 0 else least
    return [width + left * share / sum(shares) for width, share in zip(least, shares, strict=True)]


def _longest_word(text: str, measure: Measure) -> float:
    return min(WORD_MAX_MM, max(map(measure, text.split()), default=0.0))
