from benchmark.catalog import ROOT
from cytosuite.metrics import metrics_for
from cytosuite.metrics.reference import TASKS, reference


def test_the_readme_is_what_the_metrics_say():
    assert (ROOT / "benchmark" / "metrics" / "README.md").read_text() == reference()


def test_every_score_with_a_best_value_has_a_source_and_no_name_has_dots():
    for task in TASKS:
        for metric in metrics_for(task):
            assert "." not in metric.name
            assert metric.title
            assert metric.reference.startswith("10.") or metric.best is None
