"""Models: the weights chosen for each case, and how well they fit it."""

from cytosuite.benchmark.record import Record
from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.section import ReportSection, table
from cytosuite.benchmark.report.wording import number


def view(index: Index) -> list[Record] | None:
    """Return the records with a chosen model, doubtful ones first; None without any."""
    found = [record for record in index.results.records.values() if record.model]
    return sorted(found, key=lambda record: -_doubt(record)) or None


def markdown(_: Index, records: list[Record]) -> list[str]:
    """Return the chosen models as a table."""
    heads = ("case", "algorithm", "model", "cost", "chosen by", "warnings")
    rows = []
    for record in records:
        own = record.selection
        words = (number(own.cost), own.by, "; ".join(record.warnings))
        rows.append((record.case, record.algorithm, record.model, *words))
    return table(heads, rows)


def _doubt(record: Record) -> int:
    """Return 2 for a fallback, 1 for another warning, 0 for none."""
    return 2 * record.selection.fallback or int(bool(record.warnings))


TEMPLATE = """
{% set fallbacks = view|selectattr("selection.fallback")|map(attribute="case")|unique|list|length %}
{% set doubtful = view|selectattr("warnings")|map(attribute="case")|unique|list|length %}
<p class="lead">Chosen by the metadata of each case, or by the user: the smaller the cost, the closer the model's training data. {% if fallbacks %}<strong>{{ count(fallbacks, "case") }} had no model that fits</strong> and took the nearest. {% endif %}{% if doubtful %}<strong>{{ count(doubtful, "case") }} with warnings</strong>, listed first.{% endif %}</p>
<details class="more" {% if view|length <= 12 or doubtful %}open{% endif %}><summary>{{ count(view|length, "choice") }}</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Models"><table class="plain sortable">
  <thead><tr><th scope="col" data-sort="text">case</th><th scope="col" data-sort="text">algorithm</th><th scope="col" data-sort="text">model</th><th scope="col" data-sort="number">cost</th><th scope="col" data-sort="text">remark</th></tr></thead>
  <tbody>{% for record in view %}
  <tr><th scope="row"><span class="long">{{ record.case }}</span></th><td>{{ record.algorithm }}</td><td>{{ record.model }}</td><td data-key="{{ "" if record.selection.cost is none else record.selection.cost }}">{{ number(record.selection.cost) }}</td><td>{% if record.selection.fallback %}<span class="badge">fallback</span> {% endif %}{% if record.selection.by == "user" %}chosen by the user {% endif %}{{ record.warnings|join("; ") }}</td></tr>
  {% endfor %}</tbody>
</table></div></details>
"""  # noqa: E501 - HTML

SECTION = ReportSection(80, "Models", "Which model was used", view, TEMPLATE, markdown)
