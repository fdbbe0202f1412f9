"""Failures: each case that an algorithm did not finish, with the end of its log."""

from collections import defaultdict
from itertools import repeat
from typing import NamedTuple

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.wording import log_path
from cytosuite.benchmark.runs.record import Record
from cytosuite.benchmark.runs.store.documents import table
from cytosuite.benchmark.scores.results import Results
from cytosuite.errors import count
from cytosuite.files import TextDict


class Alike(NamedTuple):
    """Cases that an algorithm failed with the same status and message."""

    records: list[Record]  # one or more
    logs: TextDict  # end of the log of each case that has one
    paths: list[str]  # logs in the folder of the run; none where these are not for the reader

    @property
    def first(self) -> Record:
        """The first of them, which stands for all."""
        return self.records[0]

    @property
    def title(self) -> str:
        """The case, or the number of cases."""
        return self.first.case if len(self.records) == 1 else count(len(self.records), "case")


def view(results: Results) -> dict[str, list[Alike]] | None:
    """Return the failures by algorithm, those with one message together; None without any."""
    groups = defaultdict(list)
    for record in results.records.values():
        if not record.ok:
            groups[record.algorithm, record.status, record.message].append(record)
    failures = defaultdict(list)
    logs = results.logs
    for (name, *_), records in groups.items():
        ends = {record.case: log for record in records if (log := logs.get((name, record.case)))}
        paths = [log_path(name, record.case) for record in records if (name, record.case) in logs]
        failures[name].append(Alike(records, ends, paths))
    return dict(failures) or None


def markdown(_: Results, failures: dict[str, list[Alike]]) -> list[str]:
    """Return the failures as a table."""
    rows = [
        (r.algorithm, r.case, r.status, r.message, path)
        for groups in failures.values()
        for alike in groups
        for r, path in zip(alike.records, alike.paths or repeat(""), strict=False)
    ]
    return table(("algorithm", "case", "status", "message", "log, in the folder of the run"), rows)


TEMPLATE = """
<p class="lead">Failed cases count with the worst value. Those of an algorithm with the same message stand together{% if results.logs %}; whole logs lie in the folder of the run, at the paths given{% endif %}.</p>
{% for name, groups in view.items() %}
{% set lost = groups|map(attribute="records")|map("length")|sum %}
<details class="more failures"{% if loop.index <= 8 %} open{% endif %}><summary><span class="name">{{ name }}</span>: {{ count(lost, "failed case") }}</summary>
{% for alike in groups %}
<details class="failure"><summary><span class="badge">{{ alike.first.status }}</span> <span class="name">{{ name }}</span> on <span class="name">{{ alike.title }}</span> <span class="quiet message">{{ alike.first.message }}</span></summary>
<p>{{ alike.first.message }}</p>
{% if alike.records[1:] %}<p class="quiet">Cases: {{ alike.records|map(attribute="case")|join(", ") }}</p>{% endif %}
{% for case, log in (alike.logs.items()|list)[:1] %}
{% if alike.records[1:] %}<p class="quiet">End of the log of {{ case }}:</p>{% endif %}
<pre tabindex="0">{{ log }}</pre>
{% endfor %}
{% if alike.paths %}<p class="quiet">{{ "Logs" if alike.paths[1:] else "Log" }}: {% for path in alike.paths %}<code>{{ path }}</code>{{ ", " if not loop.last }}{% endfor %}</p>{% endif %}
</details>
{% endfor %}
</details>
{% endfor %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(
    *(70, "Failures", "Failures", view, TEMPLATE, markdown),
    badge=lambda failures: str(
        sum(len(alike.records) for groups in failures.values() for alike in groups)
    ),
)
