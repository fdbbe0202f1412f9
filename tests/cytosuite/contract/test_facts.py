"""Facts of one case: words, and the time of the network."""

import pytest

from cytosuite.contract import progress


def test_words_and_seconds_are_kept_within_a_case_and_one_network_within_another_counts_once(
    monkeypatch,
):
    clock = iter([1.0, 2.0, 4.0, 10.0, 11.5])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    with progress.network():
        progress.state(tool="of no case")
    with progress.gathered() as case:
        assert case.network_seconds is None
        progress.state(tool="a 1.0", size="not used")
        with progress.network(), progress.network():
            pass
        with pytest.raises(ValueError, match="late"), progress.network():
            raise ValueError("late")
    assert case.words == {"tool": "a 1.0", "size": "not used"}
    assert case.network_seconds == 4.5
