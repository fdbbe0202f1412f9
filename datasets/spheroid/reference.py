"""The tables of the README, made from the parameters themselves: ``python -m``."""

import sys

from datasets.spheroid.fields import Section
from datasets.spheroid.parameters import Parameters
from datasets.spheroid.sections import Kind, Nucleus, Subculture

SECTIONS: dict[str, type[Section]] = {"kinds": Kind, "subcultures": Subculture}


def reference_tables() -> str:
    """Return every section with its parameters, defaults and meanings as Markdown tables."""
    parts = []
    for name, field in Parameters.model_fields.items():
        many = name in ("kinds", "subcultures")
        kind = SECTIONS.get(name) or type(field.default)
        inherited = set(Nucleus.model_fields) if kind is Kind else set()
        title = f"[[{name}]]" if many else f"[{name}]"
        meaning = " ".join((kind.__doc__ or "").split())
        rows = [
            f"**`{title}`** {meaning}",
            "",
            "| parameter | default | meaning |",
            "|---|---|---|",
        ]
        for key, entry in kind.model_fields.items():
            if key not in inherited:
                value = entry.default
                shown = list(value) if isinstance(value, tuple) else value
                default = "" if entry.is_required() else f"`{shown!r}`".replace("'", '"')
                rows.append(f"| `{key}` | {default} | {entry.description} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(reference_tables() + "\n")
