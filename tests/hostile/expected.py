"""The table of attacks, read from their programs without running these."""

import ast
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).with_name("attacks")
# Attacks that end another way where each case has a container, which ends with its program.
APART = {
    "write_to_the_input", "fork_bomb", "endless_allocation", "endless_allocation_in_a_child",
    "fill_the_output_with_files", "zombie_grandchildren", "orphans_that_hold_the_streams",
    "kill_itself", "kill_all", "crash", "leave_without_an_output", "ignore_the_request_to_end",
    "signal_the_first_process",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attack:
    """A program, and the row that must appear."""

    module: str
    name: str
    place: str  # as an expression, where the modules are known
    row: str  # the statuses that a case may end with: words of which one stands in the reason

    @property
    def statuses(self):
        """Return the statuses, or the words where no status is meant."""
        return self.row.partition(": ")[0].split(" | ")

    @property
    def apart(self):
        """Return whether it ends another way in a container of its own."""
        return self.name in APART

    def holds(self, status, message):
        """Return whether a case ended as it must."""
        words = self.row.partition(": ")[2].split(" | ")  # without any, one that is in all
        told = status == "ok" or any(word in message for word in words)
        return status in self.statuses and told

    def __str__(self):
        """Return its name among tests."""
        return self.name


def attacks(*modules):
    """Return the attacks of some modules, in their order."""
    return [Attack(module, *row) for module in modules for row in _rows(module)]


def _rows(module):
    """Yield name, place and row of each attack of a module."""
    for node in ast.parse((HOME / f"{module}.py").read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, f"{module}.{node.name}", ast.get_docstring(node) or ""
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ATTACKS":
            for row, programs in zip(node.value.keys, node.value.values, strict=True):
                for name in (key.value for key in programs.keys):
                    yield name, f"{module}.ATTACKS[{row.value!r}][{name!r}]", row.value
