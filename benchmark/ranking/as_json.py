"""A ranking as JSON can hold it."""

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

from cytosuite.benchmark.ranking.ranking import Contest, Pair, Ranking


def ranking_json(ranking: Ranking) -> dict[str, Any]:
    """Return a ranking as JSON can hold it: pairs as lists of rows, no number that is not finite.

    Parameters
    ----------
    ranking : Ranking
        Of a run or table.
    """
    found = {
        "rule": ranking.rule,
        "scheme": ranking.scheme,
        "failures": ranking.failures,
        "cases": ranking.cases,
        "failed": ranking.failed,
        "draws": ranking.draws,
        "seed": ranking.seed,
        "alpha": ranking.alpha,
        "overall": _contest(ranking.overall),
        "metrics": {name: _contest(own) for name, own in ranking.metrics.items()},
        "agreement": _rows(ranking.agreement, ("metric", "other"), "tau_b"),
        "means": _rows(ranking.means, ("algorithm", "metric"), "mean"),
        "scaled": _rows(ranking.scaled, ("algorithm", "metric"), "value"),
    }
    return {key: _finite(value) for key, value in found.items()}


def _contest(found: Contest) -> dict[str, Any]:
    """Return one ranking: a row per algorithm, best first, and a row per ordered pair."""
    rows = [
        {
            "algorithm": name,
            "place": found.places[name],
            "ranks": {scheme: ranks[name] for scheme, ranks in found.ranks.items()},
            "interval": found.interval.get(name),
            "shares": found.shares.get(name),
            "tier": found.tier.get(name),
            "place_without_failures": found.without_failures.get(name),
        }
        for name in found.algorithms
    ]
    differences = [
        {"algorithm": first, "other": second, **asdict(own)}
        for (first, second), own in found.differences.items()
    ]
    middle, low, high = found.tau
    return {
        "algorithms": rows,
        "better": sorted(map(list, found.better)),
        "power": found.power,
        "differences": differences,
        "tau_b": {"median": middle, "low": low, "high": high},
    }


def _rows(values: Mapping[Pair, float], names: Pair, value: str) -> list[dict[str, Any]]:
    """Return a row per pair."""
    return [{names[0]: one, names[1]: other, value: own} for (one, other), own in values.items()]


def _finite(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value without None and infinite numbers in its mappings."""
    if isinstance(value, Mapping):
        return {key: _finite(own) for key, own in value.items() if _is_known(own)}
    return [_finite(own) for own in value] if isinstance(value, list | tuple) else value


def _is_known(value: object) -> bool:
    """Return whether JSON can hold a value."""
    return value is not None and (not isinstance(value, float) or isfinite(value))
