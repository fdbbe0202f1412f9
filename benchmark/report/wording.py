"""Numbers in words that a biologist reads at a glance."""

import math
from collections.abc import Iterable
from typing import TypeGuard

from markupsafe import Markup, escape

from cytosuite.benchmark.catalog.places import folder_of
from cytosuite.benchmark.scores.standings import Summary
from cytosuite.metrics import AnyMetric

# Signs of formulas for those that docstrings have.
SIGNS = {"A n B": "A ∩ B", " * ": " · ", ">=": "≥", "<=": "≤"}
LARGE = 1e6  # from here on three digits are shown, and the other values keep their decimals


def known(value: float | None) -> TypeGuard[float]:
    """Return whether a value is a finite number."""
    return value is not None and math.isfinite(value)


def number(value: float | None, digits: int = 2) -> str:
    """Return a score as text: fixed decimals for moderate ones, three digits otherwise."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    small = 0 < abs(value) < 0.5 * 10**-digits
    return f"{value:.3g}" if small or abs(value) >= 1000 else f"{value:.{digits}f}"


def decimals(values: Iterable[float | None]) -> int:
    """Return decimals of a column: two; more if small or alike, fewer if one is large."""
    sizes = [abs(value) for value in values if known(value) and abs(value) < LARGE]
    top = max(sizes, default=0.0)
    if top >= 100:
        return 1 if top < 1000 else 0
    least = 2 if top >= 0.1 or top == 0 else min(1 - math.floor(math.log10(top)), 9)
    different = {round(value, 12) for value in sizes if value >= 0.5 * 10**-least}
    return least + (len({round(value, least) for value in different}) < len(different))


def fixed(value: float | None, digits: int) -> str:
    """Return a value with fixed decimals, so that a column aligns; 0 is 0 alone."""
    if not known(value) or abs(value) >= LARGE:
        return number(value, digits)
    if value and abs(value) < 0.5 * 10**-digits:
        return f"{'<' if value > 0 else '>-'}{10**-digits:.{digits}f}"
    return f"{value:.{digits}f}"


def against(first: float, second: float) -> str:
    """Return two values as text with as many decimals as tell them apart, up to five."""
    for digits in range(2, 6):
        texts = number(first, digits), number(second, digits)
        if texts[0] != texts[1]:
            return f"{texts[0]} against {texts[1]}"
    return f"{number(first)} for both"


def probability(p: float) -> str:
    """Return the p-value of a test as text."""
    if not known(p):
        return "no test"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def interval(low: float, high: float, digits: int | None = None) -> str:
    """Return an interval as text; empty where it is unknown or has no width."""
    if not (known(low) and known(high) and low < high):
        return ""
    ends = [number(end) if digits is None else fixed(end, digits) for end in (low, high)]
    return f"{ends[0]} to {ends[1]}"


def estimate(summary: Summary) -> str:
    """Return a mean with its interval in brackets as text."""
    reach = interval(summary.low, summary.high)
    return f"{number(summary.mean)} ({reach})" if reach else number(summary.mean)


def duration(seconds: float | None) -> str:
    """Return a time as text in the unit that suits it."""
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
    """Return a number of bytes as text in binary units."""
    if not known(size):
        return "-"
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:.{1 if size < 100 * factor else 0}f} {unit}"
    return f"{size:.0f} B"


def span_of(numbers: Iterable[int]) -> str:
    """Return whole numbers as text, ``3`` or ``3 to 5``."""
    ordered = sorted(numbers)
    return " to ".join(map(str, dict.fromkeys((ordered[0], ordered[-1]))))


def direction(metric: AnyMetric) -> str:
    """Return in words which values of a metric are better."""
    if metric.best is not None:
        worst = "" if metric.worst is None else f"{metric.worst:g} worst, "
        return f"{worst}{metric.best:g} best"
    return "describes only" if metric.worst is None else f"{metric.worst:g} worst, more is better"


def doi_link(reference: str) -> str:
    """Return a DOI as a link address, and anything else as an empty string."""
    bare = reference.strip().removeprefix("https://doi.org/").removeprefix("doi:")
    return f"https://doi.org/{bare}" if bare.startswith("10.") and "/" in bare else ""


def formulas(text: str) -> Markup:
    """Return text as HTML, formulas in backticks as code with their signs."""
    parts = text.split("`")
    for at in range(1, len(parts), 2):
        for sign, better in SIGNS.items():
            parts[at] = parts[at].replace(sign, better)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if at % 2 else Markup(escape(part))
        for at, part in enumerate(parts)
    )


def log_path(algorithm: str, case: str) -> str:
    """Return the place of the log of a case in the folder of its run."""
    return f"{folder_of(algorithm)}/{case}/log.txt"
