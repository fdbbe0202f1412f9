from mistakes import refused

from cytosuite.metrics.tracks.lineage import Lineage, Track, refuse, row_problems

FAMILY = [Track(7, 0, 2), Track(3, 4, 5, 7), Track(9, 3, 3, 7), Track(4, 6, 6, 3)]


def test_vertices_are_numbered_track_by_track_and_have_at_most_one_source():
    graph = Lineage.of(FAMILY)
    assert graph.labels.tolist() == [3, 4, 7, 9]
    assert graph.first.tolist() == [0, 2, 3, 6, 7]
    assert graph.track_of.tolist() == [0, 0, 1, 2, 2, 2, 3]
    assert graph.vertices == 7
    assert graph.sources.tolist() == [5, 0, 1, -1, 3, 4, 5]
    assert graph.starts.tolist() == [True, False, True, True, False, False, True]
    assert graph.links == 6


def test_a_division_has_two_daughters_or_more():
    divisions = Lineage.of(FAMILY).divisions()
    assert {mother: daughters.tolist() for mother, daughters in divisions.items()} == {2: [0, 3]}


MISTAKES = {
    "label 1: a second row": Track(1, 0, 1),
    "label 0: not a positive number": Track(0, 0, 1),
    "label 5: begins in frame -1": Track(5, -1, 1),
    "label 5: ends in frame 1, before it begins (2)": Track(5, 2, 1),
    "label 5: ends in frame 4, the last frame is 3": Track(5, 1, 4),
    "label 5: its parent 6 has no row": Track(5, 1, 2, 6),
    "label 5: its parent -1 has no row": Track(5, 1, 2, -1),
    "label 5: begins in frame 1, not after its parent 1, which ends in frame 1": Track(5, 1, 2, 1),
    "label 5: begins in frame 1, not after its parent 5, which ends in frame 2": Track(5, 1, 2, 5),
}


def test_explains():
    good = [Track(1, 0, 1), Track(2, 2, 3, 1)]
    assert list(row_problems(good, 4)) == []
    for message, row in MISTAKES.items():
        assert list(row_problems([*good, row], 4)) == [message]


def test_only_the_first_twenty_problems_are_shown():
    refused(
        "^23 format errors, nothing was read: label 1: bad; .*label 20: bad; and 3 more$",
        refuse,
        [f"label {number}: bad" for number in range(1, 24)],
        "nothing was read",
    )
