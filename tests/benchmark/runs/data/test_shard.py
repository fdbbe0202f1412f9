from hypothesis import given
from hypothesis import strategies as st
from mistakes import refused

from cytosuite.benchmark.runs.data.shard import read_shard


@given(st.integers(1, 20), st.integers(0, 50))
def test_shards_are_the_cases_each_once(of, number):
    cases = tuple(range(number))
    shares = [read_shard(f"{n}/{of}").share(cases) for n in range(1, of + 1)]
    assert sorted(case for share in shares for case in share) == [*cases]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_shard_has_a_number_from_1_to_the_last():
    assert str(read_shard("3/16")) == "3/16"
    for text in ("0/4", "5/4", "1", "1/", "-1/4", "1/2/3"):
        refused("SHARD must be like 3/16", read_shard, text)
