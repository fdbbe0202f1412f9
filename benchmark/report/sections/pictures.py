"""Pictures of cases: a viewer of their slices, and stills of some for print."""

import math

from cytosuite.benchmark.report.page import ReportSection
from cytosuite.benchmark.report.pictures.gallery import (
    ALGORITHMS,
    CASES,
    CaseView,
    choose,
    draw_all,
)
from cytosuite.benchmark.report.wording import known, number
from cytosuite.benchmark.scores.results import Results
from cytosuite.files import Json


def view(results: Results) -> Json | None:
    """Return the cases of the viewer; None for a task without images."""
    output = results.task.main_output
    cases = {case.name: case for case in results.cases if case.inputs}
    if output is None or not cases:
        return None
    names = [entry.algorithm for entry in results.ranked][:ALGORITHMS]
    goodness = results.goodness(names[0]) if names else dict.fromkeys(cases, -math.inf)
    order = choose({name: goodness[name] for name in cases}, CASES)
    views, problems = draw_all(results, output, [cases[name] for name in order], names)
    truth = any(output.slug in cases[name].truth for name in order)
    kinds = {socket.slug: socket.kind for socket in results.task.inputs}
    base = "image" if truth else kinds[next(iter(cases[order[0]].inputs))]
    return {
        "views": views,
        "names": names,
        "order": [results.case_order[shown.case] for shown in views],
        "scores": {
            shown.case: [_scores(results, shown, name) for name in names] for shown in views
        },
        "outlines": output.kind in ("labels", "points"),
        "points": output.kind == "points",
        "truth": truth,
        "differences": output.kind == base == "image",
        "matches": any(case in order for _, case in (*results.matches, *results.links)),
        "movie": output.movie,
        "judged": any(map(known, goodness.values())),
        "left_out": [name for name in cases if name not in order],
        "problems": problems,
    }


def _scores(results: Results, shown: CaseView, name: str) -> list[str]:
    """Return the values of the leaderboard's metrics of one algorithm in one case."""
    scores = {
        metric.name: results.values[name, metric.name].get(shown.case) for metric in results.board
    }
    return [f"{metric} {number(value)}" for metric, value in scores.items() if value is not None]


TEMPLATE = """
{% from "macros.html" import still %}
{% if view.views %}
<p class="lead">{% if view.judged %}Worst case first, by the scores of the best algorithm. {% endif %}{% if view.points %}Points are circles of three pixels; pairs match within the radius of the scores. {% elif view.movie %}The slider goes through the frames, of volumes as projections along z; lines lead back along the last twelve frames of each cell. Circles are wrong links. {% elif view.outlines and view.matches %}A prediction matches an object when it covers more than half of it, in the whole image. {% endif %}{% if not view.outlines %}{% if view.truth %}Outputs have the contrast of the truth. {% else %}Every image has its own contrast. {% endif %}{% endif %}{% if view.differences %}Differences are orange where the output is brighter than the {{ "truth" if view.truth else "input" }} and blue where it is darker, in full colour from half the contrast on.{% endif %}</p>
<div class="viewer" id="viewer" role="group" aria-label="Slice viewer">
  <script type="application/json" data-part="setup">{{ {"names": view.names, "order": view.order}|tojson }}</script>
  <div class="bench needs-script">
    <header>
      <button type="button" data-act="N" aria-label="Previous case" title="previous case (N or ,)">&lsaquo;</button>
      <button type="button" data-act="n" aria-label="Next case" title="next case (n or .)">&rsaquo;</button>
      <h3 class="name" data-part="name"></h3><span class="dim" data-part="count"></span>
    </header>
    <div class="tools">
      <span class="set" role="group" aria-label="Plane">{% for plane in ("XY", "XZ", "YZ", "All") %}<button type="button" data-plane="{{ loop.index0 }}" aria-pressed="false" title="key {{ loop.index }}">{{ plane }}</button>{% endfor %}</span>
      {% if view.names[1:] %}<span class="set" role="group" aria-label="Algorithm">{% for name in view.names %}<button type="button" class="name" data-algorithm="{{ loop.index0 }}" aria-pressed="false" title="keys a and A">{{ name }}</button>{% endfor %}</span>{% endif %}
      <button type="button" data-part="beside" data-act="s" aria-pressed="false" title="key s"{% if not view.names[1:] %} hidden{% endif %}>Side by side</button>
      {% if view.outlines %}<span class="set" role="group" aria-label="Outlines">{% if view.truth %}<button type="button" data-show="truth" aria-pressed="true" title="key t"><i data-key="truth"></i>truth</button>{% endif %}<button type="button" data-show="output" aria-pressed="true" title="key p"><i data-key="output"></i>prediction</button>{% if view.matches %}<button type="button" data-show="errors" aria-pressed="true" title="key e"><i data-key="m"></i>errors</button>{% endif %}{% if view.movie %}<button type="button" data-show="trails" aria-pressed="true" title="key l">trails</button>{% endif %}</span>
      {% elif view.differences %}<button type="button" data-show="errors" aria-pressed="true" title="key e">differences</button>{% endif %}
      <button type="button" data-part="channel" data-act="c" aria-label="Channel" title="next channel (c)" hidden></button>
      <span class="set" role="group" aria-label="Zoom"><button type="button" data-act="-" aria-label="Zoom out" title="key -">&minus;</button><button type="button" data-act="0" title="whole image (0, or a double click)" data-part="zoom">100 %</button><button type="button" data-act="+" aria-label="Zoom in" title="key +">+</button></span>
      <label class="light">brightness <input type="range" data-part="gain" min="0.5" max="6" step="0.1" value="1"></label>
    </div>
    <p class="trouble" role="alert" data-part="trouble"></p>
    <div class="stage" data-part="stage" tabindex="0" role="application" aria-label="Slices; arrow keys move through them" aria-describedby="viewer-keys"></div>
    <div class="depth" data-part="slices"><canvas class="rail" data-part="rail" aria-hidden="true"></canvas>
      <input type="range" data-part="slider" min="0" value="0" aria-label="Slice"><output data-part="where"></output></div>
    <p class="readout" data-part="readout" role="status"><span class="for-mouse">Point at the picture for labels, place and grey value; click it and turn the wheel for other slices.</span><span class="for-touch">Tap the picture for labels, place and grey value; the slider leads to other slices, two fingers enlarge.</span></p>
    <p class="dim" data-part="grid"></p>
    <details class="help for-mouse" id="viewer-keys"><summary>Keys</summary><p><kbd>↑</kbd> <kbd>↓</kbd> <kbd>PgUp</kbd> <kbd>PgDn</kbd> <kbd>Home</kbd> <kbd>End</kbd> slices · <kbd>1</kbd> <kbd>2</kbd> <kbd>3</kbd> <kbd>4</kbd> planes · <kbd>a</kbd> <kbd>A</kbd> algorithm · <kbd>s</kbd> side by side · <kbd>n</kbd> <kbd>N</kbd> case · <kbd>c</kbd> channel · {% if view.outlines %}<kbd>t</kbd> truth · <kbd>p</kbd> prediction · <kbd>e</kbd> errors · <kbd>x</kbd> <kbd>X</kbd> next and previous error ·{% if view.movie %} <kbd>l</kbd> trails ·{% endif %}{% elif view.differences %}<kbd>e</kbd> differences ·{% endif %} <kbd>+</kbd> <kbd>-</kbd> or <kbd>Ctrl</kbd> and wheel zoom · <kbd>Shift</kbd> and arrows, or drag, move · <kbd>0</kbd> or double click whole image · <kbd>b</kbd> <kbd>B</kbd> brightness</p></details>
  </div>
  <div class="side">
    <h4>{{ "Cases, worst first" if view.judged else "Cases" }}</h4>
    <ol class="cases" data-part="cases">
    {% for shown in view.views %}
    {% set place = results.case_order[shown.case] %}
    <li><a id="case-{{ place }}" data-case="{{ place }}" href="#case-{{ place }}"><span class="name">{{ shown.case }}</span>{% for name in view.names %}<span class="scores" data-of="{{ loop.index0 }}"{% if not loop.first %} hidden{% endif %}>{% for score in view.scores[shown.case][loop.index0] %}<span class="chip">{{ score }}</span>{% endfor %}{% if shown.counts[name] == "no valid output" %}<span class="lost">no valid output</span>{% endif %}</span>{% endfor %}</a></li>
    {% endfor %}
    </ol>
    <div class="errors needs-script" data-part="errors"{% if not view.matches %} hidden{% endif %}>
      <h4>Errors <span class="dim" data-part="counts"></span></h4>
      <div data-part="tally"></div>
      <ol data-part="list"></ol>
      <p class="dim" data-part="more"></p>
    </div>
  </div>
</div>
{% for shown in view.views %}
<script type="application/json" id="data-{{ results.case_order[shown.case] }}">{{ dict(shown.data, scores=view.scores[shown.case])|tojson }}</script>
{% endfor %}
<div class="stills">
{% for shown in view.views if shown.still %}
<figure class="still"><figcaption><b class="name">{{ shown.case }}</b>{% if shown.still.algorithm %} <span class="name">{{ shown.still.algorithm }}</span> {{ shown.counts[shown.still.algorithm] }}{% endif %}</figcaption>
{% for row in shown.still.rows %}{{ still(row, shown.case) }}{% endfor %}
</figure>
{% endfor %}
{% if view.outlines %}<p class="quiet">{% if view.truth %}Outlines: <span class="key truth-key">truth</span>{% if view.matches %} <span class="key missed-key">missed</span>{% endif %} {% endif %}<span class="key right-key">prediction</span>{% if view.matches %} <span class="key false-key">false</span> <span class="key split-key">split</span> <span class="key merged-key">merged</span>; errors are dashed{% endif %}.</p>{% endif %}
</div>
{% endif %}
{% if view.left_out %}
<details class="more"><summary>{{ count(view.left_out|length, "case") }} without pictures: shown are the worst, the best and some in between</summary><p>{{ view.left_out|join(", ") }}</p></details>
{% endif %}
{% if results.ranked|length > view.names|length %}<p class="quiet">Outputs are shown for the first {{ view.names|length }} algorithms of the leaderboard.</p>{% endif %}
{% for problem in view.problems %}<p class="notice">No picture of {{ problem }}</p>{% endfor %}
"""  # noqa: E501 - HTML

SECTION = ReportSection(20, "Pictures", "Pictures", view, TEMPLATE)
