"""Models: the weights chosen for each case, how well they fit it, and the next ones."""

from typing import NamedTuple

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.wording import number
from cytosuite.benchmark.runs.record import ModelChoice, Record
from cytosuite.benchmark.runs.store.documents import table
from cytosuite.benchmark.scores.results import Results


class Chosen(NamedTuple):
    """A case with a model, and the reasons of its choice, one text each."""

    record: Record
    reasons: list[str]


def view(results: Results) -> list[Chosen] | None:
    """Return the cases with a chosen model, doubtful ones first; None without any."""
    records = [record for record in results.records.values() if record.model]
    records.sort(key=lambda record: -(2 * record.selection.fallback or bool(record.warnings)))
    return [Chosen(record, reasons(record.selection)) for record in records] or None


def markdown(_: Results, view: list[Chosen]) -> list[str]:
    """Return the chosen models as a table."""
    heads = ("case", "algorithm", "model", "cost", "reasons", "chosen by", "warnings")
    rows = []
    for record, why in view:
        choice = record.selection
        rows.append(
            (
                record.case,
                record.algorithm,
                record.model,
                number(choice.cost),
                "; ".join(why),
                choice.by,
                "; ".join(record.warnings),
            )
        )
    return table(heads, rows)


def reasons(choice: ModelChoice) -> list[str]:
    """Return the terms of the cost, the runner-up with its cost, and the models left out."""
    terms = ", ".join(f"{key} {number(value)}" for key, value in choice.terms.items())
    lines = [f"cost: {terms}"] if terms else []
    if (second := choice.runner_up) is not None:
        broken = f", not for this {' and '.join(second.broken)}" if second.broken else ""
        lines.append(f"runner-up: {second.model}, {number(second.cost)}{broken}")
    if choice.tie:
        lines.append(f"of the same cost: {', '.join(choice.tie)}")
    out = [f"{rival.model} left out: {rival.left_out}" for rival in choice.others if rival.left_out]
    return lines + out


TEMPLATE = """
{% set fallbacks = view|selectattr("record.selection.fallback")|map(attribute="record.case")|unique|list|length %}
{% set doubtful = view|selectattr("record.warnings")|map(attribute="record.case")|unique|list|length %}
<p class="lead">Chosen by the metadata of each case, or by the user: the smaller the cost, the closer the model's training data. {% if fallbacks %}<strong>{{ count(fallbacks, "case") }} had no model that fits</strong> and took the nearest. {% endif %}{% if doubtful %}<strong>{{ count(doubtful, "case") }} with warnings</strong>, listed first.{% endif %}</p>
<details class="more" {% if view|length <= 12 or doubtful %}open{% endif %}><summary>{{ count(view|length, "choice") }}</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Models"><table class="plain sortable">
  <thead><tr><th scope="col" data-sort="text">case</th><th scope="col" data-sort="text">algorithm</th><th scope="col" data-sort="text">model</th><th scope="col" data-sort="number">cost</th><th scope="col" data-sort="text">remark</th></tr></thead>
  <tbody>{% for record, reasons in view %}
  <tr><th scope="row"><span class="long">{{ record.case }}</span></th><td>{{ record.algorithm }}</td><td>{{ record.model }}</td><td data-key="{{ "" if record.selection.cost is none else record.selection.cost }}">{% if reasons %}<details class="more"><summary>{{ number(record.selection.cost) }}</summary>{{ reasons|join("; ") }}</details>{% else %}{{ number(record.selection.cost) }}{% endif %}</td><td>{% if record.selection.fallback %}<span class="badge">fallback</span> {% endif %}{{ {"user": "chosen by the user ", "use": "in use "}.get(record.selection.by, "") }}{{ record.warnings|join("; ") }}</td></tr>
  {% endfor %}</tbody>
</table></div></details>
"""  # noqa: E501 - HTML

SECTION = ReportSection(80, "Models", "Which model was used", view, TEMPLATE, markdown)
