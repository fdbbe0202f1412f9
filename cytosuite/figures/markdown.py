"""Tables in Markdown."""

from collections.abc import Iterable, Sequence


def table_lines(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return the lines of a table; its cells stand as they are."""
    head, *lines = (f"| {' | '.join(cells)} |" for cells in (heads, *rows))
    return [head, f"|{'---|' * len(heads)}", *lines]
