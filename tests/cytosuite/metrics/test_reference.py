import re
from pathlib import Path

from cytosuite import metrics
from cytosuite.metrics import FAMILIES, metrics_of
from cytosuite.metrics.reference import reference

README = (Path(metrics.__file__).parent / "README.md").read_text(encoding="utf-8")


def test_the_tables_of_the_readme_are_those_of_the_metrics():
    assert README.endswith(f"\n\n{reference()}")


def test_the_examples_of_the_readme_run_in_order():
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 3
    known = {"__name__": "readme"}
    for block in blocks:
        exec(block, known)
    assert known["found_share"].family == known["light_kept"].family == ""


def test_every_score_with_a_best_value_has_a_source_and_no_name_has_dots():
    for family in FAMILIES:
        for metric in metrics_of(family):
            assert "." not in metric.name
            assert metric.title
            assert metric.reference.startswith("10.") or metric.best is None
