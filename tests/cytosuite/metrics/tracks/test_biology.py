from math import isnan

import films
import numpy as np
import pytest

from cytosuite.metrics.tracks.biology import bio, biological_mean, cca, ct, op_clb, tf
from cytosuite.metrics.tracks.branching import bc0, bc1, bc2, bc3, branching_correctness
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


def renamed(film, **names):
    """Return a film in which each label `_<label>` has another name."""
    to = {track.label: track.label for track in film.tracks} | {0: 0}
    to |= {int(old.removeprefix("_")): new for old, new in names.items()}
    rows = [Track(to[t.label], t.begin, t.end, to[t.parent]) for t in film.tracks]
    return TrackedSequence(rows, np.vectorize(to.get)(film.frames))


DIVIDES = lineage((1, 0, 2), (2, 3, 5, 1), (3, 3, 5, 1))


class TestCompleteTracks:
    def test_a_track_must_be_found_from_begin_to_end(self):
        truth = lineage((1, 0, 3), (2, 0, 3))
        assert ct(truth, lineage((1, 0, 3), (2, 0, 2))) == 0.5
        assert ct(truth, lineage((1, 0, 3))) == pytest.approx(2 / 3)

    def test_a_longer_track_is_not_the_same(self):
        assert ct(lineage((1, 0, 2), (2, 0, 3)), lineage((1, 0, 3), (2, 0, 3))) == 0.5

    def test_a_frame_without_a_match_breaks_it(self):
        truth = films.one_track(3)
        found = films.sequence([(1, 0, 2)], [1] * 4, [1, 1, 0, 0], [1] * 4)
        assert ct(truth, found) == 0.0

    def test_a_match_that_is_shared_in_one_frame_breaks_it(self):
        truth = films.sequence([(1, 0, 1), (2, 0, 1)], [1, 2], [1, 2])
        found = films.sequence([(1, 0, 1), (2, 0, 0)], [1, 2], [1, 1])
        assert ct(truth, found) == 0.0

    def test_is_undefined_without_a_true_track(self):
        assert isnan(ct(films.empty(), films.one_track(2)))


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

    def test_is_zero_when_nothing_was_found(self):
        assert tf(films.one_track(2), films.empty(2)) == 0.0

    def test_is_undefined_without_a_true_track(self):
        assert isnan(tf(films.empty(), films.one_track(2)))

    def test_a_longer_track_covers_a_shorter_one_completely(self):
        """The predicted track runs on where the true one ends."""
        truth = TrackedSequence(
            [Track(1, 0, 1)], np.pad(lineage((1, 0, 1)).frames, [(0, 2), (0, 0)])
        )
        assert tf(truth, lineage((1, 0, 3))) == 1.0

    def test_a_track_that_covers_one_completely_is_used_up(self):
        """One predicted track follows two true ones, which take turns, from begin to end."""
        truth = films.sequence(
            [(1, 0, 1), (2, 2, 5)], *np.repeat([[1] * 4, [2] * 4], [2, 4], axis=0)
        )
        found = films.sequence([(7, 0, 5)], *[[7] * 4] * 6)
        assert tf(truth, found) == 1.0  # the first only, the second counts as never found

    def test_tracks_of_lower_labels_keep_what_it_has_given(self):
        """Half of the second track is lost, so that it is not complete and uses up nothing."""
        truth = films.sequence(
            [(1, 0, 3), (2, 4, 5)], *np.repeat([[1] * 4, [2] * 4], [4, 2], axis=0)
        )
        labels = np.repeat([[8] * 4, [7] * 4], [1, 5], axis=0)
        found = films.sequence([(7, 1, 5), (8, 0, 0)], *labels)
        assert tf(truth, found) == pytest.approx((3 / 4 + 1) / 2)

    def test_the_order_of_labels_may_change_the_value(self):
        """Which of two true tracks is used up first depends on their names."""
        truth = films.sequence(
            [(1, 0, 1), (2, 2, 5)], *np.repeat([[1] * 4, [2] * 4], [2, 4], axis=0)
        )
        labels = np.repeat([[7] * 4, [8] * 4], [5, 1], axis=0)
        found = films.sequence([(7, 0, 4), (8, 5, 5)], *labels)
        assert tf(truth, found) == pytest.approx((1 + 1 / 4) / 2)
        assert tf(renamed(truth, _1=2, _2=1), found) == pytest.approx((1 + 3 / 4) / 2)

    def test_one_missed_frame_of_a_very_long_track_is_not_complete(self):
        truth = films.one_track(3000)
        found = films.sequence([(1, 0, 2998)], *[[1] * 4] * 2999, [0] * 4)
        assert tf(truth, found) == 2999 / 3000


class TestBranching:
    def test_a_division_is_found(self):
        assert branching_correctness(match_tracks(DIVIDES, DIVIDES), 0) == 1.0

    @pytest.mark.parametrize("late", range(5))
    def test_by_how_many_frames_it_may_be_off(self, late):
        truth = lineage((1, 0, 4), (2, 5, 10, 1), (3, 5, 10, 1))
        found = films.sequence(
            [(1, 0, 4 + late), (2, 5 + late, 10, 1), (3, 5 + late, 10, 1)],
            *truth.frames.copy(),
        )
        for frame in range(5, 5 + late):
            found.frames[frame][2:4] = 0
            found.frames[frame][1] = 1
        values = [metric(truth, found) for metric in (bc0, bc1, bc2, bc3)]
        assert values == [float(late <= within) for within in range(4)]

    def test_the_number_of_daughters_must_agree(self):
        three = lineage((1, 0, 2), (2, 3, 5, 1), (3, 3, 5, 1), (4, 3, 5, 1))
        assert bc3(DIVIDES, three) == 0.0
        assert bc3(three, DIVIDES) == 0.0

    def test_another_daughter_is_not_right(self):
        other = lineage((1, 0, 2), (2, 3, 5, 1), (4, 3, 5, 1), (3, 3, 5))
        assert bc3(DIVIDES, other) == 0.0

    def test_daughters_of_another_mother_are_not_right(self):
        truth = lineage((1, 0, 2), (4, 0, 2), (2, 3, 5, 1), (3, 3, 5, 1))
        found = lineage((1, 0, 2), (4, 0, 2), (2, 3, 5, 4), (3, 3, 5, 4))
        assert bc3(truth, found) == 0.0

    def test_spurious_divisions_count(self):
        truth = lineage((1, 0, 2), (2, 3, 5, 1), (3, 3, 5, 1), (4, 0, 2), (5, 3, 5), (6, 3, 5))
        found = lineage(
            (1, 0, 2), (2, 3, 5, 1), (3, 3, 5, 1), (4, 0, 2), (5, 3, 5, 4), (6, 3, 5, 4)
        )
        assert bc0(truth, found) == pytest.approx(2 / 3)
        assert bc0(found, truth) == pytest.approx(2 / 3)

    def test_a_single_child_is_no_division(self):
        single = lineage((1, 0, 2), (2, 3, 5, 1))
        assert isnan(bc3(single, single))
        assert bc3(DIVIDES, single) == 0.0

    def test_a_match_shared_by_both_daughters_is_not_unique(self):
        truth = films.division()
        found = films.sequence(
            [(1, 0, 1), (2, 2, 3, 1), (3, 2, 3, 1)],
            *list(truth.frames)[:2],
            *[[2, 2, 0, 0, 2, 3]] * 2,
        )
        assert bc3(truth, found) == 0.0

    def test_a_true_division_is_found_once(self):
        """The mother is broken, and each of her parts has daughters at about the right time."""
        truth = lineage((1, 0, 4), (2, 5, 8, 1), (3, 5, 8, 1))
        rows = [(1, 0, 3), (4, 4, 4), (2, 5, 5, 1), (3, 5, 5, 1), (5, 6, 8, 4), (6, 6, 8, 4)]
        labels = truth.frames.copy()
        labels[4][1] = 4
        labels[6:, 2], labels[6:, 3] = 5, 6
        assert bc1(truth, films.sequence(rows, *labels)) == pytest.approx(2 / 3)

    @pytest.mark.parametrize("seed", range(4))
    def test_it_does_not_fall_with_more_frames_allowed(self, seed):
        tracks = match_tracks(films.simulate(seed), films.corrupt(films.simulate(seed), seed))
        values = [branching_correctness(tracks, within) for within in range(5)]
        assert values == sorted(values)


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

    def test_same_lengths_are_perfect_wherever_they_are(self):
        assert cca(self.family(3, 5), self.family(5, 3)) == 1.0

    def test_one_of_two_cycles_is_longer(self):
        assert cca(self.family(3, 5), self.family(3, 6)) == 0.5

    def test_by_how_much_does_not_matter(self):
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
    def test_mean_of_those_that_are_defined(self):
        truth, found = lineage((1, 0, 3), (2, 0, 3)), lineage((1, 0, 3), (2, 0, 2))
        assert bio(truth, found) == pytest.approx((ct(truth, found) + tf(truth, found)) / 2)
        assert bio(DIVIDES, DIVIDES) == 1.0

    def test_frames_of_the_divisions_are_two(self):
        truth, found = films.simulate(3), films.corrupt(films.simulate(3), 3)
        tracks = match_tracks(truth, found)
        values = [ct.of(tracks), tf.of(tracks), bc2.of(tracks), cca.of(tracks)]
        assert bio.of(tracks) == biological_mean(tracks, 2) == pytest.approx(np.nanmean(values))
        assert op_clb.of(tracks) == pytest.approx((lnk.of(tracks) + bio.of(tracks)) / 2)

    def test_is_undefined_without_a_true_track(self):
        assert isnan(bio(films.empty(), films.one_track(2)))

    def test_linking_benchmark_is_undefined_without_a_link(self):
        assert isnan(op_clb(films.one_track(1), films.one_track(1)))
