"""The tables of the README, made from the parameters themselves: ``python -m``."""

import sys

from cytosuite.datasets.ranges import Section
from cytosuite.datasets.spheroid.parameters import Parameters
from cytosuite.datasets.spheroid.sections import Kind, Nucleus, Subculture

# Sections that a recipe may repeat.
SEVERAL: dict[str, type[Section]] = {"kinds": Kind, "subcultures": Subculture}


def reference_tables() -> str:
    """Return every section with its parameters, defaults and meanings as Markdown tables."""
    lines = []
    for name, field in Parameters.model_fields.items():
        section = SEVERAL.get(name) or type(field.default)
        title = f"[[{name}]]" if name in SEVERAL else f"[{name}]"
        lines += [f"**`{title}`** {section.__doc__}", ""]
        lines += ["| parameter | default | meaning |", "|---|---|---|"]
        for key, entry in section.model_fields.items():
            if section is not Kind or key not in Nucleus.model_fields:
                value = list(entry.default) if isinstance(entry.default, tuple) else entry.default
                default = "" if entry.is_required() else f"`{value!r}`".replace("'", '"')
                meaning = " ".join((entry.description or "").split())
                lines.append(f"| `{key}` | {default} | {meaning} |")
        lines.append("")
    return "\n".join(lines[:-1])


if __name__ == "__main__":
    sys.stdout.write(reference_tables() + "\n")
