from math import isnan

import films
import numpy as np
import pytest

from cytosuite.metrics.tracks.biology import bc0, bc1, bc2, bc3, bio, cca, ct, op_clb, tf
from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.tracking import lnk

CELLS = 9


def lineage(*rows):
    """Return a film of rows L B E P in which track L is always voxel L."""
    frames = np.zeros((max(row[2] for row in rows) + 1, CELLS), int)
    for label, begin, end, *_ in rows:
        frames[begin : end + 1, label] = label
    return TrackedSequence([Track(*row) for row in rows], frames)


class TestCompleteTracks:
    def test_a_track_must_be_found_from_begin_to_end(self):
        truth = lineage((1, 0, 3), (2, 0, 3))
        assert ct(truth, lineage((1, 0, 3), (2, 0, 2))) == 0.5
        assert ct(truth, lineage((1, 0, 3))) == pytest.approx(2 / 3)


class TestTrackFractions:
    def test_longest_run_counts(self):
        truth = lineage((1, 0, 9))
        found = TrackedSequence(
            [Track(1, 0, 2), Track(2, 3, 7), Track(3, 8, 9)],
            truth.frames * np.repeat([1, 2, 3], [3, 5, 2])[:, None],
        )
        assert tf(truth, found) == 0.5

    def test_tracks_that_were_never_found_are_left_out(self):
        truth = lineage((1, 0, 3), (2, 0, 3))
        found = TrackedSequence(
            [Track(1, 0, 1)], np.pad(lineage((1, 0, 1)).frames, [(0, 2), (0, 0)])
        )
        assert tf(truth, found) == 0.5

    def test_tracks_of_lower_labels_keep_what_it_has_given(self):
        """Half of the second track is lost, so that it is not complete and uses up nothing."""
        truth = films.sequence([(1, 0, 3), (2, 4, 5)], *["1111"] * 4, *["2222"] * 2)
        found = films.sequence([(7, 1, 5), (8, 0, 0)], "8888", *["7777"] * 5)
        assert tf(truth, found) == pytest.approx((3 / 4 + 1) / 2)


class TestBranching:
    @pytest.mark.parametrize("late", [0, 2, 4])
    def test_by_how_many_frames_it_may_be_off(self, late):
        truth = lineage((1, 0, 4), (2, 5, 10, 1), (3, 5, 10, 1))
        found = films.sequence(
            [(1, 0, 4 + late), (2, 5 + late, 10, 1), (3, 5 + late, 10, 1)], *truth.frames.copy()
        )
        for frame in range(5, 5 + late):
            found.frames[frame][2:4] = 0
            found.frames[frame][1] = 1
        values = [metric(truth, found) for metric in (bc0, bc1, bc2, bc3)]
        assert values == [float(late <= within) for within in range(4)]

    def test_daughters_of_another_mother_are_not_right(self):
        truth = lineage((1, 0, 2), (4, 0, 2), (2, 3, 5, 1), (3, 3, 5, 1))
        found = lineage((1, 0, 2), (4, 0, 2), (2, 3, 5, 4), (3, 3, 5, 4))
        assert bc3(truth, found) == 0.0

    def test_a_true_division_is_found_once(self):
        """The mother is broken, and each of her parts has daughters at about the right time."""
        truth = lineage((1, 0, 4), (2, 5, 8, 1), (3, 5, 8, 1))
        rows = [(1, 0, 3), (4, 4, 4), (2, 5, 5, 1), (3, 5, 5, 1), (5, 6, 8, 4), (6, 6, 8, 4)]
        labels = truth.frames.copy()
        labels[4][1] = 4
        labels[6:, 2], labels[6:, 3] = 5, 6
        assert bc1(truth, films.sequence(rows, *labels)) == pytest.approx(2 / 3)


class TestCellCycle:
    def family(self, *lengths):
        """Return a mother of two daughters that divide after so many frames each."""
        one, two = lengths
        return lineage(
            (1, 0, 0),
            (2, 1, one, 1),
            (3, 1, two, 1),
            (4, one + 1, 9, 2),
            (5, one + 1, 9, 2),
            (6, two + 1, 9, 3),
            (7, two + 1, 9, 3),
        )

    def test_one_of_two_cycles_is_longer(self):
        assert cca(self.family(3, 5), self.family(3, 6)) == 0.5
        assert cca(self.family(3, 4), self.family(3, 8)) == 0.5
        assert cca(self.family(3, 4), self.family(5, 6)) == 0.0

    def test_is_undefined_without_a_true_cycle(self):
        truth = lineage((1, 0, 2), (2, 3, 9, 1), (3, 3, 9, 1))
        assert isnan(cca(truth, self.family(3, 4)))
        assert cca(self.family(3, 4), truth) == 0.0

    def test_a_track_after_a_gap_is_no_cycle(self):
        rows = [(1, 0, 0), (2, 1, 4, 1), (3, 5, 9, 2), (4, 5, 9, 2)]
        assert isnan(cca(lineage(*rows), lineage(*rows)))


class TestTogether:
    def test_frames_of_the_divisions_are_two(self):
        truth, found = films.simulate(3), films.corrupt(films.simulate(3), 3)
        tracks = match_tracks(truth, found)
        values = [ct.of(tracks), tf.of(tracks), bc2.of(tracks), cca.of(tracks)]
        assert bio.of(tracks) == pytest.approx(np.nanmean(values))
        assert op_clb.of(tracks) == pytest.approx((lnk.of(tracks) + bio.of(tracks)) / 2)
