"""Numbers in words that a biologist reads at a glance."""

import math
from typing import Any, TypeGuard

from cytosuite.metrics import Metric


def known(value: float | None) -> TypeGuard[float]:
    """Return whether a value is a finite number."""
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 2) -> str:
    """Return a score as text: fixed decimals for moderate ones, three digits otherwise.

    Examples
    --------
    >>> number(0.7812), number(1234.5), number(0.00042), number(None), number(math.inf)
    ('0.78', '1.23e+03', '0.00042', '-', '∞')
    """
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    small = 0 < abs(value) < 0.5 * 10**-digits
    return f"{value:.3g}" if small or abs(value) >= 1000 else f"{value:.{digits}f}"


def interval(low: float, high: float) -> str:
    """Return an interval as text; empty where it is unknown or has no width.

    Examples
    --------
    >>> interval(0.7, 0.82), interval(math.nan, math.nan), interval(1.0, 1.0)
    ('0.70 to 0.82', '', '')
    """
    return f"{number(low)} to {number(high)}" if known(low) and known(high) and low < high else ""


def estimate(value: float, low: float, high: float) -> str:
    """Return a value with its interval in brackets as text.

    Examples
    --------
    >>> estimate(0.75, 0.7, 0.82), estimate(1.0, math.nan, math.nan)
    ('0.75 (0.70 to 0.82)', '1.00')
    """
    reach = interval(low, high)
    return f"{number(value)} ({reach})" if reach else number(value)


def duration(seconds: float | None) -> str:
    """Return a time as text in the unit that suits it.

    Examples
    --------
    >>> duration(0.0421), duration(3.21), duration(95), duration(7300), duration(None)
    ('42 ms', '3.2 s', '1 min 35 s', '2 h 2 min', '-')
    """
    if not known(seconds):
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def memory(size: float | None) -> str:
    """Return a number of bytes as text in binary units.

    Examples
    --------
    >>> memory(3 * 2**29), memory(512), memory(None)
    ('1.5 GiB', '512 B', '-')
    """
    if not known(size):
        return "-"
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:.{1 if size < 100 * factor else 0}f} {unit}"
    return f"{size:.0f} B"


def count(amount: int, noun: str) -> str:
    """Return a number with its noun in singular or plural.

    Examples
    --------
    >>> count(1, "case"), count(0, "case")
    ('1 case', '0 cases')
    """
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def joined(parts: list[str]) -> str:
    """Return words as a list in a sentence.

    Examples
    --------
    >>> joined(["SEG"]), joined(["SEG", "DET"]), joined(["SEG", "DET", "F1"])
    ('SEG', 'SEG and DET', 'SEG, DET and F1')
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def direction(metric: Metric[Any]) -> str:
    """Return in words which values of a metric are better."""
    if metric.best is not None:
        worst = "" if metric.worst is None else f"{metric.worst:g} worst, "
        return f"{worst}{metric.best:g} best"
    return "describes only" if metric.worst is None else f"{metric.worst:g} worst, more is better"


def doi_link(reference: str) -> str:
    """Return a DOI as a link address, and anything else as an empty string.

    Examples
    --------
    >>> doi_link("10.1093/bioinformatics/btu080")
    'https://doi.org/10.1093/bioinformatics/btu080'
    >>> doi_link("javascript:alert(1)")
    ''
    """
    bare = reference.strip().removeprefix("https://doi.org/").removeprefix("doi:")
    return f"https://doi.org/{bare}" if bare.startswith("10.") and "/" in bare else ""
