"""Fairness: training on this domain, weights, size of objects, time of network and rest."""

from cytosuite.benchmark.report.section import Cells, ReportSection, table, valued
from cytosuite.benchmark.report.wording import duration, memory
from cytosuite.benchmark.results.fairness import Terms, terms_of
from cytosuite.benchmark.results.results import Results

HEADS = (
    *("algorithm", "model", "tool", "trained on this", "trained on", "weights", "size"),
    *("network", "rest", "CPU", "peak memory"),
)


def view(results: Results) -> tuple[list[str], Cells] | None:
    """Return a row per model, by the order of the board; None where no case states a fact."""
    order = {entry.algorithm: place for place, entry in enumerate(results.ranked)}
    models = sorted(
        terms_of(results.records),
        key=lambda model: (order.get(model.algorithm, 0), model.model),
    )
    return valued(HEADS, map(row, models)) if models else None


def row(model: Terms) -> tuple[str, ...]:
    """Return the cells of one model, by `HEADS`."""
    facts = model.facts
    yes = {"this": "yes", "same simulator": "other recipe", "other": "no"}
    first = (facts.get("tool", "ours"), yes.get(facts.get("domain", ""), "-"))
    words = (facts.get("trained", "-"), facts.get("weights", "-"), facts.get("size", "-"))
    times = map(duration, (model.network, model.rest, model.cpu))
    return (model.algorithm, model.model, *first, *words, *times, memory(model.memory))


def markdown(_: Results, view: tuple[list[str], Cells]) -> list[str]:
    """Return the rows as a table."""
    return table(*view)


TEMPLATE = """
<p class="lead">A method that was trained on images like these, or is given a size to look for, has it easier. Times are medians per case.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Fairness"><table class="plain">
  <thead><tr>{% for head in view[0] %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>
  <tbody>{% for row in view[1] %}
  <tr><th scope="row">{{ row[0] }}</th>{% for cell in row[1:] %}<td><span class="long">{{ cell }}</span></td>{% endfor %}</tr>
  {% endfor %}</tbody>
</table></div>
"""  # noqa: E501 - HTML

SECTION = ReportSection(82, "Fairness", "What each method was given", view, TEMPLATE, markdown)
