import re

import films
import numpy as np
import pytest

from cytosuite.errors import InputError
from cytosuite.metrics.tracks.lineage import Lineage, Track, TrackedSequence, refuse, row_problems

FAMILY = [Track(7, 0, 2), Track(3, 4, 5, 7), Track(9, 3, 3, 7), Track(4, 6, 6, 3)]


def test_vertices_are_numbered_track_by_track():
    graph = Lineage.of(FAMILY)
    assert graph.labels.tolist() == [3, 4, 7, 9]
    assert graph.first.tolist() == [0, 2, 3, 6, 7]
    assert graph.track_of.tolist() == [0, 0, 1, 2, 2, 2, 3]
    assert graph.vertices == 7


def test_a_vertex_is_found_by_its_track_and_frame():
    graph = Lineage.of(FAMILY)
    assert [graph.vertex(2, frame) for frame in (-1, 0, 2, 3)] == [-1, 3, 5, -1]


def test_every_vertex_has_at_most_one_source():
    graph = Lineage.of(FAMILY)
    assert graph.sources.tolist() == [5, 0, 1, -1, 3, 4, 5]
    assert graph.starts.tolist() == [True, False, True, True, False, False, True]
    assert graph.links == 6


def test_a_division_has_two_daughters_or_more():
    found = Lineage.of(FAMILY).divisions()
    assert {mother: daughters.tolist() for mother, daughters in found.items()} == {2: [0, 3]}


def test_order_of_the_rows_does_not_matter():
    one, other = Lineage.of(FAMILY), Lineage.of(FAMILY[::-1])
    assert one.sources.tolist() == other.sources.tolist()
    assert one.parents.tolist() == other.parents.tolist()


def test_no_tracks_make_an_empty_graph():
    graph = Lineage.of([])
    assert (graph.vertices, graph.links, graph.divisions()) == (0, 0, {})
    assert graph.sources.shape == graph.starts.shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_links_go_forward_in_time(seed):
    graph = Lineage.of(films.simulate(seed).tracks)
    frame = np.arange(graph.vertices) - graph.first[graph.track_of] + graph.begins[graph.track_of]
    linked = graph.sources >= 0
    assert (frame[graph.sources[linked]] < frame[linked]).all()
    tracks = films.simulate(seed).tracks
    within = sum(track.end - track.begin for track in tracks)
    assert graph.links == within + sum(track.parent > 0 for track in tracks)


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


def test_good_rows_have_no_problem():
    assert list(row_problems([Track(1, 0, 1), Track(2, 2, 3, 1)], 4)) == []


@pytest.mark.parametrize(("message", "row"), MISTAKES.items())
def test_explains(message, row):
    assert list(row_problems([Track(1, 0, 1), Track(2, 2, 3, 1), row], 4)) == [message]


def test_all_problems_of_a_row_are_named():
    assert len(list(row_problems([Track(0, -1, -2, 3)], 2))) == 4


def test_nothing_is_refused_without_a_problem():
    refuse([])


def test_one_problem_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"^1 format error, nothing was scored: label 3: bad$"):
        refuse(["label 3: bad"])


def test_only_the_first_twenty_problems_are_shown():
    problems = [f"label {number}: bad" for number in range(1, 24)]
    expected = "23 format errors, nothing was read: label 1: bad; "
    with pytest.raises(InputError, match=f"^{re.escape(expected)}") as error:
        refuse(problems, "nothing was read")
    assert str(error.value).endswith("label 20: bad; and 3 more")
    assert "\n" not in str(error.value)


def test_frames_are_called_by_their_names_or_numbers():
    frames = [np.zeros(3, int)] * 2
    assert TrackedSequence([], frames, name="result").frame_name(1) == "result frame 1"
    assert TrackedSequence([], frames, frame_names=["a.tif", "b.tif"]).frame_name(1) == "b.tif"
