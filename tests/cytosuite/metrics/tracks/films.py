"""Simulated sequences of cells and of faulty trackings of them, and a few to be scored by hand.

Cells are squares of 5 x 5 voxels on the sites of a grid, so that they never touch. They move
within their site, divide into a free one, vanish, and may return after a frame, as a new track
whose parent is the old one.
"""

from functools import cache

import numpy as np
from situations import drawn

from cytosuite.metrics.tracks.lineage import Track, TrackedSequence

FRAMES, SITES, PITCH, EDGE = 9, 7, 9, 5


def sequence(rows, *frames, **options):
    """Return a sequence of rows L B E P and one-dimensional frames."""
    return TrackedSequence(
        [Track(*row) for row in rows],
        [drawn(frame) if isinstance(frame, str) else np.array(frame) for frame in frames],
        **options,
    )


def one_track(frames=3):
    """One cell of four voxels in so many frames."""
    return sequence([(1, 0, frames - 1)], *["1111"] * frames)


def division():
    """A mother in two frames and her two daughters in two."""
    before = "1111.."
    after = "22..33"
    return sequence([(1, 0, 1), (2, 2, 3, 1), (3, 2, 3, 1)], before, before, after, after)


def three_merged():
    """Three cells of one frame, and one object that covers all of them."""
    return sequence([(1, 0, 0), (2, 0, 0), (3, 0, 0)], "112233"), sequence([(1, 0, 0)], "111111")


def empty(frames=2):
    """Frames without a cell."""
    return sequence([], *["...."] * frames)


@cache
def simulate(seed):
    """Return a truth of about 20 tracks in 9 frames of 63 x 63 voxels."""
    rng = np.random.default_rng(seed)
    frames = np.zeros((FRAMES, SITES * PITCH, SITES * PITCH), np.uint16)
    parents = {}
    alive = dict(enumerate(rng.permutation(SITES**2)[:6].tolist(), 1))
    for image in frames:
        for label, site in list(alive.items()):
            if rng.random() < 0.05:
                continue  # for a frame
            y, x = np.array(divmod(site, SITES)) * PITCH + rng.integers(0, PITCH - EDGE, 2)
            image[y : y + EDGE, x : x + EDGE] = label
            if (fate := rng.random()) < 0.27:
                del alive[label]
            if fate < 0.22:
                free = sorted({*range(SITES**2)} - {site, *alive.values()})
                for place in (site, int(rng.choice(free))):
                    daughter = 7 + len(parents)
                    alive[daughter] = place
                    parents[daughter] = label
    return _tracked(frames, parents, rng, 0)


@cache
def corrupt(truth, seed, rate=0.08):
    """Return a tracking with missed, merged, shrunk, split, spurious cells and wrong links."""
    rng = np.random.default_rng([seed, 1])
    frames = np.array(truth.frames)
    new = iter(range(1000, 9999))
    for image in frames:
        for label in np.unique(image[image > 0]).tolist():
            mask = image == label
            part = mask & (mask.cumsum().reshape(mask.shape) > rng.integers(5, 20))
            fates = [(mask, 0), (mask, rng.choice(np.unique(image))), (part, 0), (part, next(new))]
            if (fate := rng.random() / rate) < len(fates):
                where, value = fates[int(fate)]
                image[where] = value
        if rng.random() < 2 * rate and not image[:3, -4:].any():
            image[:3, -4:] = next(new)
    late = frames[FRAMES // 2 :]
    one, other = rng.choice(np.unique(late[late > 0]), 2, replace=False)
    late[...] = np.select([late == one, late == other], [other, one], late)  # exchanged
    return _tracked(frames, {t.label: t.parent for t in truth.tracks}, rng, rate)


def _tracked(frames, parents, rng, rate):
    """Return the sequence of labels, a track for each run of frames; some links are lost."""
    tracked = np.zeros_like(frames)
    tracks = {}
    names = rng.permutation(999) + 1
    last = {}
    for label in np.unique(frames[frames > 0]).tolist():
        times = np.flatnonzero((frames == label).any(axis=(1, 2)))
        parent = last.get(parents.get(label))
        cuts = (np.diff(times) > 1) | (rng.random(times.size - 1) < rate)
        for run in np.split(times, np.flatnonzero(cuts) + 1):
            begin, end, name = int(run[0]), int(run[-1]), int(names[len(tracks)])
            linked = parent and tracks[parent].end < begin and rng.random() > rate
            tracks[name] = Track(name, begin, end, parent if linked else 0)
            tracked[begin : end + 1][frames[begin : end + 1] == label] = name
            parent = last[label] = name
    return TrackedSequence([*tracks.values()], tracked)


def padded(film):
    """Return one-dimensional frames as images with background, as other programs want them."""
    frames = np.stack([np.pad(frame[None], 2) for frame in film.frames]).astype(np.uint16)
    return TrackedSequence(film.tracks, frames)
