"""Fairness: training on this domain, weights, size of objects, time of network and rest."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.wording import duration, memory
from cytosuite.benchmark.runs.record import Record
from cytosuite.benchmark.runs.store.documents import Cells, table, valued
from cytosuite.benchmark.scores.results import Results
from cytosuite.files import Texts

HEADS = (
    *("algorithm", "model", "tool", "trained on this", "trained on", "weights", "size"),
    *("network", "rest", "CPU", "peak memory"),
)
COSTS = ["seconds", "inside_seconds", "network_seconds", "cpu_seconds", "peak_memory"]


def view(results: Results) -> tuple[list[str], Cells] | None:
    """Return a row per model, by the order of the board; None where no case states a fact."""
    order = {entry.algorithm: place for place, entry in enumerate(results.ranked)}
    models = defaultdict(list)
    for record in results.records.values():
        if record.ok and record.facts:
            models[record.algorithm, record.model].append(record)
    names = sorted(models, key=lambda pair: (order.get(pair[0], 0), pair[1]))
    return valued(HEADS, (row(*pair, models[pair]) for pair in names)) if models else None


def row(algorithm: str, model: str, records: Sequence[Record]) -> Texts:
    """Return the cells of one model, by `HEADS`; times are medians over its cases."""
    facts = records[0].facts
    yes = {"this": "yes", "same simulator": "other recipe", "other": "no"}
    costs = pd.DataFrame([record.model_dump(include={*COSTS}) for record in records], dtype=float)
    inside = costs["inside_seconds"].fillna(costs["seconds"]).median()
    network, cpu = (costs[name].median() for name in ("network_seconds", "cpu_seconds"))
    times = map(duration, (network, np.maximum(inside - network, 0.0), cpu))
    return (
        algorithm,
        model,
        facts.get("tool", "ours"),
        yes.get(facts.get("domain", ""), "-"),
        facts.get("trained", "-"),
        facts.get("weights", "-"),
        facts.get("size", "-"),
        *times,
        memory(costs["peak_memory"].max()),
    )


TEMPLATE = """
<p class="lead">A method that was trained on images like these, or is given a size to look for, has it easier. Times are medians per case.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Fairness"><table class="plain">
  <thead><tr>{% for head in view[0] %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>
  <tbody>{% for row in view[1] %}
  <tr><th scope="row">{{ row[0] }}</th>{% for cell in row[1:] %}<td><span class="long">{{ cell }}</span></td>{% endfor %}</tr>
  {% endfor %}</tbody>
</table></div>
"""  # noqa: E501 - HTML

SECTION = ReportSection(
    82, "Fairness", "What each method was given", view, TEMPLATE, lambda _, view: table(*view)
)
