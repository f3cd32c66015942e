"""Computes column widths of a printed table so that no word is broken that fits on the page. Pure."""

from collections.abc import Callable, Sequence

Measure = Callable[[str], float]
WORD_MAX_MM, TEXT_MAX_MM = 48.0, 80.0
"""Longest word in mm that is kept whole, and largest width in mm that a column of text asks for."""


def column_widths(
    columns: Sequence[Sequence[str]], measure: Measure, *, across_mm: float, beside_mm: float
) -> list[float]:
    """Return widths in mm that fill the page: each column at least its longest word, the rest by its amount of text.

    Args: columns: each column's texts, heading first. measure: returns a text's printed width, mm. beside_mm: a cell's
    padding, left and right together. Where even the longest words do not fit, all columns shrink alike.
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
