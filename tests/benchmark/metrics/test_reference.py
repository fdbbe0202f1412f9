from benchmark.catalog import ROOT
from benchmark.metrics import metrics_for
from benchmark.metrics.reference import TASKS, reference


def test_the_readme_is_what_the_metrics_say():
    assert (ROOT / "benchmark" / "metrics" / "README.md").read_text() == reference()


def test_every_metric_has_a_source_unless_it_is_a_count_and_no_dots_in_its_name():
    for task in TASKS:
        for metric in metrics_for(task):
            assert "." not in metric.name
            assert metric.title
            assert metric.reference or "count" in metric.name or metric.undefined
