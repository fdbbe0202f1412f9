"""Errors by object: bars of classes, and where objects are missed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, starmap, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.wording import number as score
from cytosuite.benchmark.runs.store.documents import table
from cytosuite.benchmark.scores.objects import DEPTH, KIND, table_rows
from cytosuite.benchmark.scores.results import Matches, Results
from cytosuite.files import IntDict, IntMap, IntPair, Texts, TextSeq
from cytosuite.metrics.labels.object_table import FALSE, MATCHED, MERGED, MISSED, SIZES, SPLIT
from cytosuite.volume.arrays import Bools, Doubles

CLASSES = (MATCHED, SPLIT, MERGED, MISSED, FALSE)
OF_POINTS = (MATCHED, MISSED, FALSE)
GROUPS = 10  # deciles
LEAST = 5  # objects of a decile
LONGEST = 1.5  # true objects: a longer bar is cut, its numbers stand next to it
OBJECT = ["algorithm", "missed", "depth", "size", "seg", KIND, "matched_label"]  # µm, µm³
PART = 100_000  # true objects that become columns at a time
KINDS = ("class of the annotation", "algorithm", "true objects", "share with a match", "SEG")
Share = IntPair  # objects missed, and all


class MissedShares(NamedTuple):
    """The share of missed objects by depth or by size."""

    name: str  # of the quantity
    unit: str
    edges: Sequence[float]  # ends of the groups, each with about as many true objects
    missed: Mapping[str, Sequence[Share]]  # by algorithm, in the order of the groups

    @property
    def top(self) -> float:
        """The largest share, at least a tenth: the height of the figures."""
        return max(
            0.1, *[lost / of for groups in self.missed.values() for lost, of in groups if of]
        )

    @property
    def objects(self) -> int:
        """The number of true objects in all groups."""
        return max((sum(of for _, of in groups) for groups in self.missed.values()), default=0)

    def span(self, first: int = 0, last: int = -1) -> str:
        """Return groups, all by default, in words."""
        return f"{rounded(self.edges[first])} to {rounded(self.edges[last])} {self.unit}"

    def bars(self, algorithm: str) -> list[tuple[str, float]]:
        """Return each group in words, with its share of the full height; none where not known."""
        return [
            (f"{self.span(n, n + 1)}: {lost} of {of} missed", lost / max(of, 1) / self.top)
            for n, (lost, of) in enumerate(self.missed.get(algorithm, ()))
        ]


def rounded(value: float) -> str:
    """Return a depth or size with three digits, large ones without decimals."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def stretches(counts: IntMap, longest: float) -> list[tuple[str, int, float, float]]:
    """Return class, number, start and width [%] of objects in a row, the false ones after a gap."""
    parts = []
    at = 0.0
    for name, number in counts.items():
        start = at + (longest / 100 if name == FALSE else 0)
        width = max(0.0, min(number, longest - start))
        parts.append((name, number, 100 * start / longest, 100 * width / longest))
        at += number
    return parts


class Errors(NamedTuple):
    """Numbers of objects by algorithm and class, true objects by algorithm, and the places."""

    counts: Mapping[str, IntMap]
    true: IntMap
    places: Sequence[MissedShares]
    kinds: Sequence[TextSeq]  # rows: class by the annotation, algorithm, scores
    keys: TextSeq  # the classes
    heads: TextSeq = KINDS

    @property
    def bars(self) -> dict[str, list[tuple[str, int, float, float]]]:
        """All objects of each algorithm in a row, on one scale, see `stretches`."""
        lengths = [
            min(sum(counts.values()), LONGEST * self.true[name])
            for name, counts in self.counts.items()
        ]
        width = 1.01 * max([1.0, *lengths])
        return {name: stretches(counts, width) for name, counts in self.counts.items()}


def view(results: Results) -> Errors | None:
    """Return the numbers of objects of each class; None without matched objects."""
    cases = defaultdict[str, list[Matches]](list)
    for (name, _), match in results.matches.items():
        cases[name].append(match)
    matches = {e.algorithm: cases[e.algorithm] for e in results.ranked if e.algorithm in cases}
    true = {name: sum(match.true for match in matched) for name, matched in matches.items()}
    if not any(true.values()):
        return None
    output = results.task.main_output
    keys = OF_POINTS if output is not None and output.kind == "points" else CLASSES
    counts = {name: _counts(matched, keys) for name, matched in matches.items()}
    files = [(n, path) for (n, _), path in results.object_scores.items() if n in matches]
    rows = chain.from_iterable(starmap(_true_objects, files))
    parts = [pd.DataFrame(part, columns=OBJECT) for part in iter(lambda: [*islice(rows, PART)], [])]
    objects = pd.concat(parts) if parts else pd.DataFrame(columns=OBJECT)
    return Errors(counts, true, _places(objects), _kinds(objects, matches), keys)


def _counts(matches: Iterable[Matches], keys: Iterable[str]) -> IntDict:
    """Return the numbers of true objects by class, and of false ones."""
    counts = Counter[str]()
    for match in matches:
        counts.update(match.truth_classes.values())
        counts[MATCHED] += match.true - len(match.truth_classes)
        counts[FALSE] += Counter(match.answer_classes.values())[FALSE]
    return {key: counts[key] for key in keys}


def _true_objects(name: str, path: Path) -> Iterator[tuple[object, ...]]:
    """Yield the values of `OBJECT` of the true objects of a case; the size in 2D in µm²."""
    with table_rows(path) as rows:
        head = next(rows, [])
        size = next((column for column in SIZES.values() if column in head), "")
        for row in takewhile(lambda row: row[0] == "truth", rows):
            facts = dict(zip(head, row, strict=True))
            numbers = [float(facts.get(column, "nan")) for column in (DEPTH, size, "seg")]
            matched = KIND in facts and facts["matched_label"]
            yield name, facts.get("class") == MISSED, *numbers, facts.get(KIND), matched


def _kinds(objects: pd.DataFrame, names: Iterable[str]) -> list[Texts]:
    """Return a row for each class of the annotation and algorithm."""
    rows = []
    for kind, alike in objects.groupby(KIND):
        for name in names:
            part = alike[alike["algorithm"] == name]
            means = float((part["matched_label"] != "0").mean()), float(part["seg"].mean())
            if len(part):
                rows.append((str(kind), name, str(len(part)), *map(score, means)))
    return rows


def _places(objects: pd.DataFrame) -> list[MissedShares]:
    """Return the shares of missed objects by depth and by size, where there are enough objects."""
    if objects.empty:
        return []
    parts = dict(list(objects.groupby("algorithm", sort=False)))
    most = max(parts.values(), key=len)
    unit = "µm²" if most["depth"].isna().all() else "µm³"
    places = []
    for name, of in (("depth", "µm"), ("size", unit)):
        finite = most.loc[np.isfinite(most[name]), name]
        groups = min(GROUPS, finite.size // LEAST)
        edges = np.unique(np.quantile(finite, np.linspace(0, 1, groups + 1))) if groups else finite
        if edges.size > 2:
            missed = {
                str(algorithm): _shares(edges, part[name].to_numpy(), part["missed"].to_numpy())
                for algorithm, part in parts.items()
            }
            places.append(MissedShares(name, of, edges.tolist(), missed))
    return places


def _shares(edges: Doubles, values: Doubles, missed: Bools) -> list[Share]:
    """Return how many objects of each group are missed, and how many there are."""
    ends = [-np.inf, *edges[1:-1], np.inf]
    finite = np.isfinite(values)
    both = (values[finite & missed], values[finite])
    lost, of = (np.histogram(some, ends)[0].tolist() for some in both)
    return list(zip(lost, of, strict=True))


def markdown(_: Results, errors: Errors) -> list[str]:
    """Return the numbers as a table, with the shares missed in the first and last groups."""
    heads = ["algorithm", "true objects", *errors.keys]
    for place in errors.places:
        heads += [
            f"missed, {place.name} to {rounded(place.edges[1])} {place.unit}",
            f"from {rounded(place.edges[-2])} {place.unit}",
        ]
    rows = []
    for name, counts in errors.counts.items():
        row = [name, errors.true[name], *counts.values()]
        for place in errors.places:
            ends = [place.missed[name][n] for n in (0, -1)] if name in place.missed else []
            row += [f"{lost / max(of, 1):.0%}" for lost, of in ends] or ["-", "-"]
        rows.append(row)
    return [*table(heads, rows), *(["", *table(KINDS, errors.kinds)] if errors.kinds else [])]


TEMPLATE = """
{% macro row_of(parts) %}
{% set shapes %}{% for name, number, start, width in parts %}<rect x="{{ percent(start) }}" width="{{ percent(width) }}" height="16" style="fill:var(--{{ name }})"><title>{{ name }}: {{ number }}</title></rect>{% endfor %}{% endset %}
{% set words %}{% for name, number, start, width in parts %}{{ number }} {{ name }}{{ ", " if not loop.last }}{% endfor %}{% endset %}
{{ svg("error-bar", 16, words, [shapes]) }}
{%- endmacro %}
{% macro bars_of(bars) %}
{% set wide = 100 / (bars|length or 1) %}
{% set shapes %}{% for text, share in bars %}{% set place %}x="{{ percent(wide * loop.index0) }}" width="{{ percent(0.86 * wide) }}"{% endset %}<g><title>{{ text }}</title><rect {{ place }} height="30" style="fill:var(--shade)"/><rect {{ place }} y="{{ "%.1f"|format(29 - 29 * share) }}" height="{{ "%.1f"|format(29 * share + 1) }}" style="fill:var(--missed)"/></g>{% endfor %}{% endset %}
{% if bars %}{{ svg("missed-bars", 30, bars|map("first")|join("; "), [shapes]) }}{% endif %}
{%- endmacro %}
<p class="lead">What became of every object, over all cases: {% if results.task.main_output.kind == "points" %}of the truth it is matched (one predicted point within the radius) or missed; false are predicted points without a match.{% else %}of the truth it is matched (a predicted object covers more than half of it), split (two or more predicted objects lie in it), merged (its match covers another as well) or missed; false are other predicted objects without a match.{% endif %}{% if view.places %} On the right the share of missed objects{% for place in view.places %}{{ " and" if not loop.first }} by {{ place.name }}{% endfor %}, in groups of equally many.{% endif %}{% if results.object_scores %} Every object{% if results.task.main_output.kind == "labels" %} with its term of SEG{% endif %}: <a href="object_scores.csv">object_scores.csv</a>.{% endif %}</p>
<p class="keys">{% for name in view.keys %}<span class="key {{ name }}-key">{{ name }}</span> {% endfor %}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Objects by class">
<table class="heat sortable groups">
  <caption>Objects by class</caption>
  <thead><tr><th scope="col" data-sort="text">algorithm</th><th scope="col">objects</th>{% for name in view.keys %}<th scope="col" data-sort="number">{{ name }}</th>{% endfor %}{% for place in view.places %}<th scope="col">missed by {{ place.name }}<small>{{ place.span() }}, n = {{ place.objects }}<br>full height {{ "%.0f"|format(100 * place.top) }} %</small></th>{% endfor %}</tr></thead>
  <tbody>
  {% for name, counts in view.counts.items() %}
  <tr><th scope="row"><span class="long">{{ name }}</span></th><td style="min-width:11rem">{{ row_of(view.bars[name]) }}</td>{% for number in counts.values() %}<td data-key="{{ number }}">{{ number }}</td>{% endfor %}{% for place in view.places %}<td style="min-width:7.5rem">{{ bars_of(place.bars(name)) }}</td>{% endfor %}</tr>
  {% endfor %}
  </tbody>
</table></div>
{% if view.kinds %}
<div class="scroll" tabindex="0" role="region" aria-label="Scores by class of the annotation">
<table class="heat sortable">
  <caption>Scores by class of the annotation</caption>
  <thead><tr>{% for name in view.heads %}<th scope="col" data-sort="{{ "text" if loop.index < 3 else "number" }}">{{ name }}</th>{% endfor %}</tr></thead>
  <tbody>{% for row in view.kinds %}<tr><th scope="row">{{ row[0] }}</th>{% for cell in row[1:] %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</tbody>
</table></div>
{% endif %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(35, "Errors", "Errors by object", view, TEMPLATE, markdown)
