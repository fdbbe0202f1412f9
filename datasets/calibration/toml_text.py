"""Recipes as TOML text, with comments."""

from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit

from cytosuite.errors import InputError


def to_toml(
    recipe: Mapping[str, Any], comments: Mapping[str, str] | None = None, head: Sequence[str] = ()
) -> str:
    """Return a nested mapping as TOML.

    Parameters
    ----------
    recipe : mapping
        Text, numbers, booleans, sequences of these, mappings (tables) and sequences of mappings
        (arrays of tables); scalars of NumPy count as numbers. Tables come after plain values.
    comments : mapping of str to str, optional
        Comment behind a value, by its dotted name (``parameters.camera.gain``).
    head : sequence of str
        Comment lines at the top.

    Returns
    -------
    str
        Reads back as the same values; sequences stand on one line.

    Raises
    ------
    InputError
        If a value has no form in TOML, like None.

    Examples
    --------
    >>> print(to_toml({"cases": 2, "camera": {"gain": [1.5, 2.0]}}, {"cases": "few"}), end="")
    cases = 2 # few
    <BLANKLINE>
    [camera]
    gain = [1.5, 2.0]
    """
    lines = [*(f"# {line}\n" for line in head), "\n"] if head else []
    return "".join(lines) + tomlkit.dumps(_native(recipe, "", comments or {})).lstrip("\n")


def _native(value: object, name: str, comments: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Return a value as Python's own types with comments, tables after plain values."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        dot = "." if name else ""
        parts = {key: _native(part, f"{name}{dot}{key}", comments) for key, part in value.items()}
        return dict(sorted(parts.items(), key=lambda item: _is_table(item[1])))
    if isinstance(value, list | tuple):
        value = [_native(part, name, {}) for part in value]
    elif not isinstance(value, str | bool | int | float):
        raise InputError(f"{name}: {value!r} has no form in TOML")
    return tomlkit.item(value).comment(comments[name]) if comments.get(name) else value


def _is_table(value: object) -> bool:
    """Return whether a value is a table or an array of tables."""
    some = value[:1] if isinstance(value, list) else [value]
    return any(isinstance(part, dict) for part in some)
