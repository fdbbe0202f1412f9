"""Pictures of cases: outlines of labels over the input, or images and their differences."""

import math
from typing import Any

from cytosuite.benchmark.pictures.gallery import ALGORITHMS, CASES, VolumeView, choose, draw_all
from cytosuite.benchmark.pictures.png import FULL
from cytosuite.benchmark.report.index import Index
from cytosuite.benchmark.report.section import ReportSection
from cytosuite.benchmark.report.wording import known


def view(index: Index) -> dict[str, Any] | None:
    """Return the pictures of some cases; None for a task without images.

    Returns
    -------
    dict or None
        Worst cases first, if they are judged by the scores of the best algorithm:

        - views : of cases
        - names : algorithms with drawn outputs
        - outlines, truth, matches : whether outputs are outlines, and a truth and its matches shown
        - lead : sentences that explain the pictures
        - left_out, problems : cases that are not shown, and sentences why some cannot be drawn
    """
    output = index.results.task.main_output
    cases = {case.name: case for case in index.results.cases if case.inputs}
    if output is None or not cases:
        return None
    names = [entry.algorithm for entry in index.ranked][: ALGORITHMS[output.kind]]
    goodness = index.goodness(names[0]) if names else dict.fromkeys(cases, -math.inf)
    order = choose({name: goodness[name] for name in cases}, CASES[output.kind])
    views, problems = draw_all(index.results, output, [cases[name] for name in order], names)
    outlines = output.kind == "labels"
    truth = any(output.slug in cases[name].truth for name in order)
    matches = any(case in order for _, case in index.results.matches)
    lead = ["Worst case first, by the scores of the best algorithm."]
    lead = lead if any(map(known, goodness.values())) else []
    rows = [row for view in views for row in view.rows]
    return {
        "views": views,
        "names": names,
        "outlines": outlines,
        "truth": truth,
        "matches": matches,
        "lead": " ".join(lead + _lead(rows, outlines, truth, matches)),
        "left_out": [name for name in cases if name not in order],
        "problems": problems,
    }


def _lead(rows: list[VolumeView], outlines: bool, truth: bool, matches: bool) -> list[str]:
    """Return the sentences that explain the pictures."""
    found = []
    if any(row.where for row in rows):
        found.append(
            "Slices through the middle, or through the fullest plane where the middle is empty; "
            "a µm is equally long in all three."
        )
    if outlines and truth and matches:
        found.append(
            "A prediction matches an object when it covers more than half of it, "
            "in the whole image."
        )
    if not outlines:
        own = "Every image has its own contrast."
        found.append("Outputs have the contrast of the truth." if truth else own)
    if any(row.title.startswith("Output minus") for row in rows):
        found.append(
            f"Differences are orange where the output is brighter than the "
            f"{'truth' if truth else 'input'} and blue where it is darker, in full colour from "
            f"{100 * FULL:g} % of the contrast on."
        )
    return found


TEMPLATE = """
{% from "macros.html" import plane %}
{% set several = view.names|length > 1 %}
{% if view.views %}
<style>{% for name in view.names %}.page:has(#show-a{{ loop.index0 }}:checked) .a{{ loop.index0 }} { display: revert; }
{% endfor %}</style>
<div class="controls">
  {% if view.outlines %}
  {% if view.truth %}<label class="toggle"><input type="checkbox" id="show-truth" checked> <span class="key truth-key">truth</span></label>{% endif %}

  <label class="toggle"><input type="checkbox" id="show-guess" checked> <span class="key right-key">prediction</span></label>
  {% endif %}
  {% if several %}
  <fieldset><legend>of</legend>
  {% for name in view.names %}
  <label class="pick"><input type="radio" name="algorithm" id="show-a{{ loop.index0 }}" {% if loop.first %}checked{% endif %}> {{ name }}</label>
  {% endfor %}
  </fieldset>
  {% elif view.names %}
  <input type="radio" id="show-a0" checked hidden aria-label="{{ view.names[0] }}">
  {% endif %}
  <label class="gain needs-script">brightness <input type="range" id="gain" min="1" max="4" step="0.1" value="1"></label>
</div>
<p class="lead">{{ view.lead }}
{% if view.outlines and view.truth %}<span class="keys"><span class="key truth-key">truth</span>{% if view.matches %}<span class="key missed-key">truth that was missed</span>{% endif %}<span class="key right-key">prediction</span>{% if view.matches %}<span class="key extra-key">prediction that matches nothing</span>{% endif %}</span> <span class="needs-script">Keys: <kbd>t</kbd> truth, <kbd>p</kbd> prediction.</span>{% endif %}</p>
<div class="gallery">
{% for shown in view.views %}
<article class="case{% if not view.outlines %} images{% endif %}" tabindex="-1" id="case-{{ index.cases[shown.case] }}" data-case="{{ index.cases[shown.case] }}">
  <header><h3 class="name">{{ shown.case }}</h3><button type="button" class="enlarge needs-script" aria-pressed="false" aria-label="Enlarge {{ shown.case }}">enlarge</button>
  {% for name in view.names %}
  <p class="result a{{ loop.index0 }}">{% if several %}<span class="name">{{ name }}</span>{% endif %}{% for metric in index.board %}{% set score = index.values[name, metric.name].get(shown.case) %}{% if score is not none %} <span class="chip">{{ metric.name }} <b>{{ number(score) }}</b></span>{% endif %}{% endfor %}{% if shown.counts[name] %} <span class="quiet">{{ shown.counts[name] }}</span>{% endif %}</p>
  {% endfor %}
  </header>
  <div class="rows">
  {% for row in shown.rows %}
  {% set flat = row.panels|length == 1 %}
  {% set first = row.panels[0] %}
  <div class="row {{ row.classes }}">
  {% if row.title %}<h4>{{ row.title }}</h4>{% endif %}
  <div class="ortho{% if flat %} flat{% endif %}" style="{% if flat %}max-width:{{ first.width }}px{% else %}grid-template-columns:{{ first.width }}fr {{ row.panels[2].width }}fr;max-width:{{ first.width + row.panels[2].width + 6 }}px{% endif %}">
    {% for panel in row.panels %}
    {% call plane(panel, shown.case, row.title) %}
    {% if not flat %}<span class="tag">{{ panel.plane|lower }}</span><i class="mark across" style="left:{{ '%.2f'|format(panel.crossing[0]) }}%"></i><i class="mark down" style="top:{{ '%.2f'|format(panel.crossing[1]) }}%"></i>{% endif %}
    {% if loop.first %}<span class="bar-scale" style="width:{{ '%.2f'|format(row.bar_percent) }}%"><span>{{ row.bar_text }}</span></span>{% endif %}
    {% endcall %}
    {% endfor %}
    {% if not flat %}<p class="where">{{ row.where }}</p>{% endif %}
  </div>
  </div>
  {% endfor %}
  </div>
</article>
{% endfor %}
</div>
{% endif %}
{% if view.left_out %}
<details class="more"><summary>{{ count(view.left_out|length, "case") }} without pictures: shown are the worst, the best and some in between</summary><p>{{ view.left_out|join(", ") }}</p></details>
{% endif %}
{% if index.ranked|length > view.names|length %}<p class="quiet">Outputs are drawn for the first {{ view.names|length }} algorithms of the leaderboard.</p>{% endif %}
{% for problem in view.problems %}<p class="notice">No picture of {{ problem }}</p>{% endfor %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(20, "Pictures", "Pictures", view, TEMPLATE)
