"""Documents that are templates of Jinja, next to the code that fills them."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import jinja2


def rendered(template: Path, **facts: Any) -> str:  # noqa: ANN401 - of any document
    """Return a template with its facts; `json` writes a value."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["json"] = partial(json.dumps, ensure_ascii=False)
    return environment.from_string(template.read_text("utf-8")).render(facts)
