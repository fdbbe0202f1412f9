from types import SimpleNamespace

import numpy as np
import pytest
from mistakes import no_model
from rasters import away_from

from cytosuite.algorithms.linking import predict
from cytosuite.algorithms.linking.cells import cells_of
from cytosuite.algorithms.linking.link import Parameters, assign, link, tracks_of
from cytosuite.apply import WEIGHTS, DoubtfulModelWarning, apply
from cytosuite.contract.weights import Model, read_cards
from cytosuite.datasets.nuclei.parameters import Parameters as Nuclei
from cytosuite.datasets.nuclei.series import generate
from cytosuite.metrics.tracks.biology import bc0
from cytosuite.metrics.tracks.lineage import TrackedSequence
from cytosuite.metrics.tracks.tracking import tra
from cytosuite.networks.scale import trained_of
from cytosuite.volume import Volume

SPACING = (0.5, 0.5)


def disc(image, y, x, radius, label):
    """Draw a cell."""
    image[away_from((y, x), image.shape) <= radius] = label


def cells(drop=(), shift=(0.0, 0.0)):
    """Return label frames of five cells that move, without some (frame, cell)."""
    rng = np.random.default_rng(3)
    places = np.array([[20, 20], [20, 60], [60, 20], [60, 60], [40, 90]], float)
    film = np.zeros((6, 90, 110), np.uint16)
    for frame, image in enumerate(film):
        for cell, (y, x) in enumerate(places):
            if (frame, cell) not in drop:
                disc(image, y, x, 6 + cell, cell + 1)
        places += rng.normal(0, 1.5, places.shape) + shift
    return film


def links(film, **parameters):
    """Return the cells of a movie, their labels over time and the tracks."""
    table = cells_of(film, SPACING)
    return (table, *tracks_of(table, *link(table, Parameters(**parameters))))


def groups(film):
    """Return the tracks as sets of cells, by frame and former label, and their parents."""
    table, names, tracks = links(film)
    members = {track.label: frozenset() for track in tracks}
    for frame, label, name in zip(table.frame, table.labels, names, strict=True):
        members[int(name)] |= {(int(frame), int(label))}
    return {members[t.label]: members.get(t.parent) for t in tracks}


def test_cells_that_move_are_one_track_each():
    parents = groups(cells())
    assert {frozenset((f, c) for f in range(6)) for c in range(1, 6)} == set(parents)
    assert set(parents.values()) == {None}


def test_tracks_do_not_depend_on_the_numbers_of_cells(rng):
    film = cells()
    tables = [np.append(0, 7 * rng.permutation(5) + 3) for _ in film]
    other = np.stack([table[frame] for table, frame in zip(tables, film, strict=True)])
    renamed = {frozenset((f, int(tables[f][c])) for f, c in members) for members in groups(film)}
    assert renamed == set(groups(other))


def test_tracks_of_a_movie_backwards_are_the_same():
    film = cells(drop={(2, 1)})
    last = len(film) - 1
    backwards = {frozenset((last - f, c) for f, c in group) for group in groups(film[::-1])}
    assert backwards == set(groups(film))


@pytest.mark.parametrize("missed", [1, 2])
def test_a_gap_is_closed_by_a_parent(missed):
    parents = groups(cells(drop={(2 + frame, 3) for frame in range(missed)}))
    assert parents[frozenset((f, 4) for f in range(2 + missed, 6))] == frozenset({(0, 4), (1, 4)})
    assert len(parents) == 6


def test_no_gap_is_closed_where_none_is_allowed():
    *_, tracks = links(cells(drop={(2, 3)}), gap=0)
    assert [track.parent for track in tracks] == [0] * 6


def test_all_cells_may_drift_further_than_each_of_them_moves():
    assert len(groups(cells(shift=(4.0, 2.0)))) == 5


def test_a_step_much_longer_than_all_others_is_no_end():
    film = cells()
    for frame in film[3:]:
        inside = frame == 5
        frame[inside] = 0
        frame[np.roll(inside, -20, 1)] = 5
    assert len(groups(film)) == 5


def dividing(begin, apart):
    """Return a movie in which the first of three cells divides."""
    film = np.zeros((6, 80, 120), np.uint16)
    for frame, image in enumerate(film):
        disc(image, 60, 90 + frame, 9, 1)
        disc(image, 20, 100 - frame, 9, 2)
        if frame < begin:
            disc(image, 40, 30, 10, 3)
        else:
            disc(image, 40 - apart, 30, 7, 3)
            disc(image, 40 + apart, 30, 7, 4)
    return film


@pytest.mark.parametrize(
    "apart, border, tracks",
    [(8, 0, 5), (11, 0, 5), (11, 32, 4)],  # the last cuts a daughter, and leaves one cell out
)
def test_a_division_is_one_mother_with_two_daughters(apart, border, tracks):
    parents = groups(dividing(3, apart)[:, border:])
    mother = frozenset((f, 3) for f in range(3))
    daughters = {group for group, parent in parents.items() if parent == mother}
    assert daughters == {frozenset((f, c) for f in range(3, 6)) for c in (3, 4)}
    assert len(parents) == tracks


def test_no_division_where_none_is_allowed():
    *_, tracks = links(dividing(3, 8), division=0)
    assert {track.parent for track in tracks} == {0}


def test_a_cell_that_enters_beside_another_is_no_daughter():
    film = dividing(6, 8)
    for image in film[3:]:
        disc(image, 40, 51, 10, 4)
    assert set(groups(film).values()) == {None}


def test_empty_frames_and_movies_have_no_tracks():
    assert links(np.zeros((3, 8, 8), np.uint8))[2] == []
    film = cells()
    film[3:] = 0
    assert {track.end for track in links(film)[2]} == {2}


def test_assignment_takes_the_least_sum_and_leaves_the_costly_alone():
    pairs = np.array([[0, 10], [0, 11], [1, 10], [2, 12], [3, 13]])
    rows, columns = assign(pairs, np.array([1.0, 2.0, 1.5, 9.0, 0.0]), limit=8.0)
    taken = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    assert taken == {0: 11, 1: 10, 3: 13}  # 2 + 1.5, not 1 and an end and a begin


@pytest.mark.parametrize(
    "values",
    [
        {"shape": [400, 400], "spacing_um": [0.4, 0.4], "n_nuclei": 40, "division": 0.05},
        {"n_nuclei": 10, "division": 0.05},
        {"shape": [400, 400], "spacing_um": [0.4, 0.4], "n_nuclei": 40, "step_um": 2.0},
    ],
)
def test_true_labels_of_simulated_movies_are_tracked(values, rng):
    sample = generate(rng, Nuclei(frames=10, frame_labels=True, **values))
    inputs = {slug: sample.volume(slug) for slug in ("microscopy-movie", "frame-labels")}
    outputs = apply("linking", inputs)
    truth = TrackedSequence(sample.sockets["tracks"], sample.volume("tracked-labels").array)
    answer = TrackedSequence(outputs["tracks"], outputs["tracked-labels"].array)
    assert tra(truth, answer) >= 0.995
    assert bc0(truth, answer) >= 0.9


def test_frames_without_labels_are_segmented(rng):
    movie = Volume(rng.poisson(100 + 300 * (cells() > 0)), SPACING, "TYX", {"channel": "nucleus"})
    movie.array[2:4] = 600 - movie.array[2:4]
    with pytest.warns(DoubtfulModelWarning, match="linking: image inverted") as lines:
        outputs = apply("linking", movie)
    assert len(lines) == 1
    assert sorted((t.begin, t.end) for t in outputs["tracks"]) == [(0, 5)] * 5
    assert outputs["tracked-labels"].axes == "TYX"


def test_a_single_image_is_no_movie():
    image = Volume(np.zeros((8, 8), np.uint8), SPACING, "YX")
    no_model("", apply, "linking", {"frame-labels": image, "microscopy-movie": image})


def test_each_of_many_cells_stays_one_track(rng):
    grid = np.stack(np.mgrid[:20, :25], axis=-1).reshape(-1, 2) * 24.0 + 15
    offsets = np.argwhere(away_from(8, (17, 17)) <= 8) - 8
    places = grid.copy()
    film = np.zeros((20, 520, 640), np.uint16)
    for image in film:
        for label, place in enumerate(np.rint(places).astype(int), 1):
            image[tuple((place + offsets).T)] = label
        places += rng.normal(0, 0.7, places.shape) + 0.1 * (grid - places)
    *_, tracks = links(film)
    assert len(tracks) == 500


def test_the_frames_of_a_movie_share_the_size_of_a_segmenter_that_guesses(monkeypatch):
    seen = []

    def guess(inputs, model):
        (frame,) = inputs.values()
        seen.append((frame.metadata.get("diameter_um"), frame.metadata.get("diameter_source")))
        notes = {"guess_diameter_px": 20.0 + frame.array[0, 0], "guess_diameter_source": "network"}
        return {"instance-labels": Volume(frame.array, frame.spacing, "YX", notes)}

    monkeypatch.setattr(predict, "import_module", lambda _: SimpleNamespace(predict=guess))
    film = cells()
    film[:, 0, 0] = 0, 2, 60, 4, 6, 8
    settings = predict.Settings(segmenter="guess")
    model = Model(read_cards(WEIGHTS / "linking", "linking")[0], None)
    frames = predict._segmented(Volume(film, SPACING, "TYX"), settings, model)
    assert np.array_equal([frame.array for frame in frames], film)
    # 20, 22, 26 and 28 px of 0.5 µm in the frames asked; 80 px are doubted
    assert seen == [(None, None)] * 5 + [(12.0, "shared, median of 4 images")] * 6


@pytest.mark.parametrize("name", ["linking", "cellpose3d_linking"])
def test_a_card_segments_as_the_card_of_its_segmenter_does(name):
    for card in read_cards(WEIGHTS / name, name):
        settings = predict.Settings(**card.parameters)
        source = card.description.split()[-1].removesuffix(".")  # it ends with the name
        others = read_cards(WEIGHTS / settings.segmenter, settings.segmenter)
        (other,) = (candidate for candidate in others if candidate.name == source)
        used = card.model_copy(update=settings.segmentation)
        assert (used.parameters, used.sha256) == (other.parameters, other.sha256)
        assert used.sha256 is None or trained_of(used) == trained_of(other)
