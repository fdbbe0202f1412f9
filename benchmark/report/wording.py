"""Numbers and results in words a biologist reads at a glance."""

import math

from benchmark.report.content import MetricInfo, ReportContent
from benchmark.report.tables import case_names, finite, found_share

BYTES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def number(value: object, digits: int = 2) -> str:
    """Return a score as text: fixed decimals for moderate ones, three digits otherwise.

    Examples
    --------
    >>> number(0.7812), number(1234.5), number(0.00042), number(None)
    ('0.78', '1.23e+03', '0.00042', '-')
    """
    real = finite(value)
    if real is None:
        return "-"
    small = 0 < abs(real) < 0.5 * 10**-digits
    return f"{real:.3g}" if small or abs(real) >= 1000 else f"{real:.{digits}f}"


def duration(seconds: object) -> str:
    """Return a time as text in the unit that suits it.

    Examples
    --------
    >>> duration(0.0421), duration(3.21), duration(95), duration(7300), duration(None)
    ('42 ms', '3.2 s', '1 min 35 s', '2 h 2 min', '-')
    """
    value = finite(seconds)
    if value is None:
        return "-"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(value / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def memory(size: object) -> str:
    """Return a number of bytes as text in binary units.

    Examples
    --------
    >>> memory(3 * 2**29), memory(512), memory(None)
    ('1.5 GiB', '512 B', '-')
    """
    value = finite(size)
    if value is None:
        return "-"
    for unit, factor in BYTES:
        if value >= factor:
            return f"{value / factor:.{1 if value < 100 * factor else 0}f} {unit}"
    return f"{value:.0f} B"


def count(amount: int, noun: str) -> str:
    """Return a number with its noun in singular or plural.

    Examples
    --------
    >>> count(1, "case"), count(0, "case")
    ('1 case', '0 cases')
    """
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def verdict(content: ReportContent) -> str:
    """Return the result of the run in one plain sentence.

    Only what was measured is said: a share of found objects needs their numbers.
    """
    ranked = content.ranked()
    if not ranked:
        return f"No algorithm has run on {content.dataset} yet."
    best = ranked[0]
    cases = max(best.cases, 0) or len(case_names(content))
    if cases and best.failed >= cases:
        who = (
            f"None of {len(ranked)} algorithms gave a"
            if ranked[1:]
            else f"{best.algorithm} gave no"
        )
        return f"{who} valid result: {_failed(best.failed, cases)}."
    subject = _subject(content)
    phrases = _phrases(content)
    if not phrases:
        done = f"finished {cases - best.failed} of {count(cases, 'case')}"
        return f"{subject} {done}; there is no truth to score them against."
    joined = " and ".join(phrases) if len(phrases) < 3 else ", ".join(phrases)
    return f"{subject} {joined}; {_failed(best.failed, cases)}."


def _subject(content: ReportContent) -> str:
    """Return who the sentence is about, and who shares the first rank."""
    ranked = content.ranked()
    best = ranked[0]
    if len(ranked) == 1 or best.rank is None:
        return best.algorithm
    equal = [entry.algorithm for entry in ranked if entry.rank == best.rank]
    if len(equal) > 1:
        return f"{' and '.join(equal)} share the first rank of {len(ranked)}: {best.algorithm}"
    return f"Of {len(ranked)} algorithms {best.algorithm} ranks first: it"


def _failed(failed: int, cases: int) -> str:
    """Return how many cases failed."""
    if not failed:
        return "none of its cases failed"
    amount = "all" if failed == cases else f"{failed} of"
    return f"{amount} {count(cases, 'case')} failed"


def _phrases(content: ReportContent) -> list[str]:
    """Return what the best algorithm reaches, a phrase per primary metric."""
    best = content.ranked()[0]
    means = {name: finite(summary.mean) for name, summary in best.summaries.items()}
    found = found_share(content, best.algorithm)
    phrases = []
    for metric in content.primary()[:3]:
        mean = means.get(metric.name)
        if mean is not None:
            phrases.append(_phrase(metric, mean, found))
    return sorted(phrases, key=lambda phrase: not phrase.startswith(("finds", "detects")))


def _phrase(metric: MetricInfo, mean: float, found: float | None) -> str:
    """Return what a mean value of one metric says."""
    if metric.name == "DET" and found is not None:
        return f"finds {math.floor(100 * found + 0.5)} % of the objects (DET {mean:.2f})"
    if metric.name == "DET":
        return f"detects the objects with an accuracy of {mean:.2f} (DET)"
    if metric.name == "SEG":
        return f"outlines them with a mean overlap of {mean:.2f} (SEG)"
    best = "" if metric.best is None else f", where {metric.best:g} is best"
    title = (
        metric.title if metric.title[:2].isupper() else metric.title[:1].lower() + metric.title[1:]
    )
    return f"reaches a {title} of {number(mean)} ({metric.name}{best})"
