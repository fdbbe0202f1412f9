"""Measures: the definition, range and source of every metric in the report."""

import re

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.wording import direction
from cytosuite.benchmark.runs.store.documents import table
from cytosuite.benchmark.scores.results import Results
from cytosuite.metrics import AnyMetric


def view(results: Results) -> list[tuple[AnyMetric, str]] | None:
    """Return the metrics with their meaning; None without any."""
    return [(metric, meaning(metric)) for metric in results.metrics] or None


def meaning(metric: AnyMetric) -> str:
    """Return definition (the docstring), range and undefined cases of a metric in words."""
    plain = " ".join(metric.description.replace("``", "`").split())
    sentences = [sentence.removeprefix("Return ") for sentence in re.split(r"(?<=\.) ", plain)]
    text = " ".join(f"{sentence[:1].upper()}{sentence[1:]}" for sentence in sentences).rstrip(".")
    undefined = f" Undefined {metric.undefined}." if metric.undefined else ""
    return f"{text}; {direction(metric)}.{undefined}"


def markdown(_: Results, metrics: list[tuple[AnyMetric, str]]) -> list[str]:
    """Return the metrics as a table."""
    rows = [
        (metric.name, metric.title, words.replace("`", ""), metric.reference)
        for metric, words in metrics
    ]
    return table(("name", "title", "meaning", "DOI"), rows)


TEMPLATE = """
<details class="more"><summary>{{ count(view|length, "definition") }}, with range and source</summary>
<dl class="glossary">
{% for metric, words in view %}
<div><dt>{{ metric.name }} <span class="quiet">{{ metric.title }}</span></dt>
<dd>{{ formulas(words) }}{% if metric.reference %} {% if doi_link(metric.reference) %}<a href="{{ doi_link(metric.reference) }}" rel="noreferrer">doi:{{ metric.reference }}</a>{% else %}{{ metric.reference }}{% endif %}{% endif %}</dd></div>
{% endfor %}
</dl></details>
"""  # noqa: E501 - HTML

SECTION = ReportSection(90, "Measures", "What the measures mean", view, TEMPLATE, markdown)
