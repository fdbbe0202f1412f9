"""The table of attacks, read from their programs without running these."""

import ast
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).with_name("attacks")


@dataclass(frozen=True, slots=True)
class Attack:
    """A program, and the row that must appear.

    Parameters
    ----------
    module, name : str
        Of the function.
    statuses : frozenset of str
        With any of which the case may end.
    words : tuple of str
        One of them stands in the reason.
    """

    module: str
    name: str
    statuses: frozenset[str]
    words: tuple[str, ...]

    def holds(self, status: str, message: str) -> bool:
        """Return whether a case ended as it must."""
        told = status == "ok" or not self.words or any(word in message for word in self.words)
        return status in self.statuses and told

    def __str__(self) -> str:
        """Return its name among tests."""
        return self.name


def attacks(*modules: str) -> list[Attack]:
    """Return the attacks of some modules, in their order."""
    return [attack for module in modules for attack in _of(module)]


def _of(module: str) -> list[Attack]:
    """Return the attacks of a module."""
    tree = ast.parse((HOME / f"{module}.py").read_text())
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            statuses, _, words = (ast.get_docstring(node) or "").partition(": ")
            found.append(
                Attack(
                    module,
                    node.name,
                    frozenset(statuses.split(" | ")),
                    tuple(words.split(" | ")) if words else (),
                )
            )
    return found
