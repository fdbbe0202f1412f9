"""Thresholds: the file that comes along, and a user's own."""

import pytest

from cytosuite.benchmark.comparison.scored import known_metrics
from cytosuite.benchmark.comparison.thresholds import Thresholds, read_thresholds
from cytosuite.errors import InputError

METRICS = known_metrics("segment")


def test_the_file_says_what_the_model_does():
    assert read_thresholds() == Thresholds()


def test_relevant_changes_follow_the_range():
    found = Thresholds(range=0.02, share=0.1, metrics={"DET": 0.3})
    assert found.relevant(METRICS["SEG"], 0.8) == 0.02
    assert found.relevant(METRICS["DET"], 0.8) == 0.3
    assert found.relevant(METRICS["missed"], 40.0) == 4.0  # its range is open


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alpah = 0.1", "did you mean 'alpha'"),
        ("alpha = 2", "alpha"),
        ("alpha = nan", "alpha"),
        ("[metrics]\nSEG = -1", "metrics.SEG"),
        ("[cost]\ntime = 0.5", "cost.time"),
        ("alpha = ", "expected TOML"),
    ],
)
def test_mistakes_are_named_with_their_file(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_thresholds(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
