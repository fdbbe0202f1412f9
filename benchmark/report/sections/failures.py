"""Failures: each case that an algorithm did not finish, with the end of its log."""

from cytosuite.benchmark.record import Record
from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.section import ReportSection, table


def view(index: Index) -> list[Record] | None:
    """Return the records of failed cases; None without any."""
    return [record for record in index.results.records.values() if not record.ok] or None


def markdown(_: Index, failures: list[Record]) -> list[str]:
    """Return the failures as a table."""
    rows = [(f.algorithm, f.case, f.status, f.message) for f in failures]
    return table(("algorithm", "case", "status", "message"), rows)


TEMPLATE = """
{% for failure in view %}
{% set log = results.logs.get((failure.algorithm, failure.case), "") %}
<details class="failure"><summary><span class="badge">{{ failure.status }}</span> <span class="name">{{ failure.algorithm }}</span> on <span class="name">{{ failure.case }}</span></summary>
<p>{{ failure.message }}</p>
{% if log %}<pre tabindex="0">{{ log }}</pre>{% endif %}
</details>
{% endfor %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(70, "Failures", "Failures", view, TEMPLATE, markdown, lambda v: str(len(v)))
