"""Recipes as TOML text, with comments."""

from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.items import Item, Table

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
        If a value has no form in TOML, such as None.

    Examples
    --------
    >>> print(to_toml({"cases": 2, "camera": {"gain": [1.5, 2.0]}}, {"cases": "few"}), end="")
    cases = 2 # few
    <BLANKLINE>
    [camera]
    gain = [1.5, 2.0]
    """
    document = tomlkit.document()
    for line in head:
        document.add(tomlkit.comment(line))
    if head:
        document.add(tomlkit.nl())
    _fill(document, recipe, "", comments or {})
    return tomlkit.dumps(document).lstrip("\n")


def _fill(
    table: tomlkit.TOMLDocument | Table,
    values: Mapping[str, Any],
    prefix: str,
    comments: Mapping[str, str],
) -> None:
    """Add values to a table, plain ones first."""
    later = {}
    for key, value in values.items():
        if isinstance(value, Mapping) or _is_tables(value):
            later[key] = value
            continue
        item = _plain(value, prefix + key)
        if comments.get(prefix + key):
            item.comment(comments[prefix + key])
        table.add(key, item)
    for key, value in later.items():
        if isinstance(value, Mapping):
            only_tables = bool(value) and all(
                isinstance(part, Mapping) or _is_tables(part) for part in value.values()
            )
            inner = tomlkit.table(is_super_table=only_tables)
            _fill(inner, value, f"{prefix}{key}.", comments)
            table.add(key, inner)
            continue
        tables = tomlkit.aot()
        for part in value:
            inner = tomlkit.table()
            _fill(inner, part, f"{prefix}{key}.", comments)
            tables.append(inner)
        table.add(key, tables)


def _is_tables(value: object) -> bool:
    """Return whether a value is an array of tables."""
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(part, Mapping) for part in value)
    )


def _plain(value: object, name: str) -> Item:
    """Return a value as an item of TOML."""
    native = _native(value)
    try:
        item: Item = tomlkit.item(native)
    except (TypeError, ValueError):
        raise InputError(f"{name}: {value!r} has no form in TOML") from None
    return item


def _native(value: object) -> Any:  # noqa: ANN401 - whatever a recipe contains
    """Return Python's own numbers and lists for those of NumPy, and for tuples."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_native(part) for part in value]
    return value
