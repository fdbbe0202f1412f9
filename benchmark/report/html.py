"""The page: one file that carries its pictures, style and script, and asks the network nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from benchmark.pictures import pictures
from benchmark.report import conditions, views
from benchmark.report.content import CasePicture, ReportContent
from benchmark.report.figures import axis
from benchmark.pictures.pictures import CaseView
from benchmark.report.tables import case_names
from benchmark.report.wording import count, duration, number, verdict

FOLDER = Path(__file__).parent


def render(content: ReportContent) -> str:
    """Return the report as one HTML page.

    Parameters
    ----------
    content : ReportContent
        What to show; its images are read one case at a time.

    Returns
    -------
    str
        Self-contained HTML: everything from outside (names, messages, logs) is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, duration=duration, doi=doi_link)
    environment.globals.update(count=count, axis=axis)
    return environment.get_template("template.html").render(
        content=content,
        verdict=verdict(content),
        style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
        script=Markup((FOLDER / "script.js").read_text(encoding="utf-8")),
        board=views.board(content),
        scales=views.scales(content),
        means=views.means(content),
        grids=views.grids(content),
        distributions=views.distributions(content),
        costs=views.costs(content),
        tabs=conditions.tabs(content),
        broken=views.broken_rulers(content),
        case_index={case: index for index, case in enumerate(case_names(content))},
        fallbacks=len({note.case for note in content.selections if note.fallback}),
        **_gallery(content),
    )


def doi_link(reference: str) -> str:
    """Return a DOI as a link address, and anything else as an empty string.

    Examples
    --------
    >>> doi_link("10.1093/bioinformatics/btu080")
    'https://doi.org/10.1093/bioinformatics/btu080'
    >>> doi_link("javascript:alert(1)")
    ''
    """
    bare = reference.strip().removeprefix("https://doi.org/").removeprefix("doi:")
    return f"https://doi.org/{bare}" if bare.startswith("10.") and "/" in bare else ""


def _gallery(content: ReportContent) -> dict[str, Any]:
    """Return the pictured cases, worst first, with their scores and what was left out."""
    by_case = {picture.case: picture for picture in content.pictures}
    goodness = views.case_goodness(content, list(by_case))
    chosen: list[CasePicture] = [by_case[case] for case in pictures.choose(goodness)]
    names = [entry.algorithm for entry in content.ranked()][: pictures.PICTURED_ALGORITHMS]
    shown: list[CaseView] = []
    problems: list[str] = []
    for result in pictures.draw_all(chosen, names):
        if isinstance(result, str):
            problems.append(result)
        else:
            shown.append(result)
    scores = {
        (view.case, name): views.case_scores(content, view.case, name)
        for view in shown
        for name in names
    }
    drawn = {picture.case for picture in chosen}
    return {
        "gallery": shown,
        "gallery_names": names,
        "gallery_scores": scores,
        "outlined": any(picture.kind == "labels" for picture in chosen),
        "gallery_left_out": [case for case in by_case if case not in drawn],
        "gallery_problems": problems,
        "pictured": {view.case for view in shown},
        "with_truth": any(picture.truth is not None for picture in chosen),
        "eyepiece": _typical(shown),
    }


def _typical(shown: Sequence[CaseView]) -> CaseView | None:
    """Return the case in the middle of those shown, which stand worst first."""
    drawn = [view for view in shown if view.rows[0].panels]
    return drawn[len(drawn) // 2] if drawn else None
