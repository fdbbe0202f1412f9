import ast
import re
from pathlib import Path

from house import ROOT

from cytosuite.benchmark.submission.checks.rules import RULES, finding

ID = re.compile(r"(archive|image|layer|tarball|output)\.[a-z0-9-]+")
# Composed where they are used: `image.{key}`.
COMPOSED = {"image.architecture", "image.os"}


def texts(path):
    """Return the texts in a module that look like the id of a rule."""
    tree = ast.walk(ast.parse(path.read_text()))
    nodes = (node.value for node in tree if isinstance(node, ast.Constant))
    return {text for text in nodes if isinstance(text, str) and ID.fullmatch(text)}


def test_every_rule_is_used_and_every_id_is_a_rule():
    folder = ROOT / "benchmark/submission/checks"
    files = [
        ROOT / "cytosuite/files/tarball.py",
        *(folder / f"{name}.py" for name in ("archive", "image", "outputs", "tarball")),
    ]
    assert {text for path in files for text in texts(path)} | COMPOSED == set(RULES)


def test_every_rule_is_caught_by_a_test():
    here = Path(__file__).parent.glob("test_*.py")
    assert set(RULES) <= {text for path in here for text in texts(path)}


def test_a_finding_is_plain_text():
    defect = finding("a", "image.user-root", "\x1b[31m\n", "b\u202ec" + "d" * 1000)
    assert (defect.where, len(defect.text)) == ("a: \\x1b[31m", 600)
    assert defect.text.startswith("b\\u202ec")
    assert defect.severity == "error"
