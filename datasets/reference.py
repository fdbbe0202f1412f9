"""Tables of the parameters of datasets for their READMEs; as a program it prints all of them."""

import sys
from importlib import import_module
from inspect import get_annotations
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel

from cytosuite.datasets import scene
from cytosuite.datasets.camera import Camera
from cytosuite.datasets.ranges import Section
from cytosuite.files import Entries

SHARED: dict[str, tuple[type[Section], ...]] = {
    "image": (scene.Image, scene.Frame),
    "optics": (scene.Optics, scene.Dimming, scene.Hazy),
    "camera": (Camera, scene.Lit),
    "labels": (scene.Labels, scene.Outlined),
}


def shared() -> str:
    """Return the keys that datasets share, by section; not every dataset has all of them."""
    rows = {n: [_rows(s, get_annotations(s)) for s in parts] for n, parts in SHARED.items()}
    return "\n\n".join(_table(f"[{name}]", "\n".join(parts)) for name, parts in rows.items())


def tables(form: type[BaseModel]) -> str:
    """Return the keys of a dataset: its own, and shared ones with another default."""
    plain = []
    parts = []
    for name, field in form.model_fields.items():
        default = field.default
        several = get_args(field.annotation)[:1]
        if isinstance(default, Section):
            own = {} if type(default) in SHARED.get(name, ()) else get_annotations(type(default))
            rows = _rows(type(default), own, default.model_dump(exclude_unset=True))
            parts += [_table(f"[{name}]", rows)] if rows else []
        elif default == () and issubclass(several[0], Section):
            parts.append(_table(f"[[{name}]]", _rows(several[0], get_annotations(several[0]))))
        else:
            plain.append(_row(name, field, default))
    return "\n\n".join([*([_table("parameters", "\n".join(plain))] if plain else []), *parts])


def _rows(
    section: type[BaseModel],
    own: Entries,
    other: Entries = MappingProxyType({}),
) -> str:
    """Return the keys of a section that others lack, and keys with another default."""
    return "\n".join(
        _row(key, field, other.get(key, field.default))
        for key, field in section.model_fields.items()
        if key in own or key in other
    )


def _row(key: str, field: Any, default: Any) -> str:  # noqa: ANN401 - pydantic's, any value
    value = list(default) if isinstance(default, tuple) else default
    shown = "" if field.is_required() else f"`{value!r}`".replace("'", '"')
    return f"| `{key}` | {shown} | {' '.join((field.description or '').split())} |"


def _table(title: str, rows: str) -> str:
    return f"| `{title}` | default | meaning |\n|---|---|---|\n{rows}"


if __name__ == "__main__":
    for dataset in ("spheroid", "nuclei", "membrane", "views", "cells"):
        module = import_module(f"cytosuite.datasets.{dataset}.parameters")
        sys.stdout.write(f"{dataset}\n\n{tables(module.Parameters)}\n\n")
    sys.stdout.write(f"all\n\n{shared()}\n")
