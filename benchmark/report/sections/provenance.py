"""Provenance: the command, versions and machine of the run, and its algorithms."""

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.runs.store.documents import table
from cytosuite.benchmark.scores.results import Results
from cytosuite.files import TextDict


def view(results: Results) -> TextDict:
    """Return the facts by which the run can be repeated or doubted."""
    return {
        "task": results.task.title,
        **results.provenance,
        "generated": results.generated,
    }


def markdown(results: Results, facts: TextDict) -> list[str]:
    """Return the facts as a table, and the command."""
    command = results.command.replace("```", "` ` `")
    script = ["", "```sh", command, "```"] if command else []
    return table(("fact", "value"), facts.items()) + script


TEMPLATE = """
{% if results.command %}<pre class="command" tabindex="0">{{ results.command }}</pre>{% endif %}
<dl class="provenance">
{% for key, value in view.items() %}<div><dt>{{ key }}</dt><dd>{{ value }}</dd></div>{% endfor %}
</dl>
{% if results.algorithms %}
<h3>Algorithms</h3>
<dl class="glossary">
{% for info in results.algorithms %}
<div><dt>{{ info.name }} <span class="quiet">{{ info.version }}</span></dt>
<dd>{{ info.title }}{% if info.description %}. {{ info.description }}{% endif %}{% if info.license %} <span class="quiet">{{ info.license }}.</span>{% endif %}{% for reference in info.references %} {% if doi_link(reference) %}<a href="{{ doi_link(reference) }}" rel="noreferrer">doi:{{ reference }}</a>{% else %}<span class="quiet">{{ reference }}</span>{% endif %}{% endfor %}</dd></div>
{% endfor %}
</dl>
{% endif %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(100, "How it was made", "How it was made", view, TEMPLATE, markdown)
