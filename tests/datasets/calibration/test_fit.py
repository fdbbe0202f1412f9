import numpy as np
import pytest

from cytosuite.datasets.calibration.fit import draw, fit
from cytosuite.datasets.calibration.measure import measure
from cytosuite.datasets.calibration.start import Start
from cytosuite.errors import InputError

pytestmark = pytest.mark.slow

FIXED = {"camera.gain": 4.0, "camera.offset": 100.0}


def parameters(photons, diameter, background=0.5):
    return {
        "nucleus": {"diameter_um": diameter},
        "camera": {
            "photons": photons,
            "background_photons": background,
            "gain": 4.0,
            "offset": 100.0,
        },
    }


@pytest.fixture(scope="module")
def real(toy):
    """Six stacks that differ in light and size."""
    stacks = []
    for seed, (photons, diameter) in enumerate(
        zip(np.geomspace(20, 80, 6), [9, 10, 11] * 2, strict=True)
    ):
        stacks.append(toy(parameters(photons, diameter), 77 + seed))
    return measure(stacks)


def begin(**centres):
    first = {
        "camera.photons": 8.0,
        "camera.background_photons": 3.0,
        "nucleus.diameter_um": 6.0,
    }
    return Start(dict(FIXED), first | centres, {"camera.gain": "photon transfer"}, ())


@pytest.fixture(scope="module")
def lines():
    return []


@pytest.fixture(scope="module")
def fitted(toy, real, lines):
    return fit(real, begin(), toy, rounds=8, cases=3, seed=5, margin=0.25, say=lines.append)


def test_what_was_simulated_is_found_again(fitted, lines):
    camera, nucleus = fitted.parameters["camera"], fitted.parameters["nucleus"]
    assert np.sqrt(np.prod(camera["photons"])) == pytest.approx(40, rel=0.2)
    assert np.mean(camera["background_photons"]) == pytest.approx(0.5, abs=0.15)
    assert np.mean(nucleus["diameter_um"]) == pytest.approx(10, rel=0.06)
    assert camera["gain"] == 4.0
    assert len(lines) == len(fitted.misfits) == 8
    assert lines[0].startswith("round 1 of 8: missing")


def test_misfits_shrink(fitted):
    first, last = (abs(fitted.misfits[n]["camera.photons"]) for n in (0, -1))
    assert last < 0.3 * first


def test_ranges_cover_what_differs_between_stacks(fitted):
    low, high = fitted.parameters["camera"]["photons"]
    assert low < 25
    assert high > 65


def test_wider_margins_make_wider_ranges(toy, real):
    ends = [
        fit(real, begin(), toy, rounds=1, cases=1, margin=margin).parameters["camera"]["photons"]
        for margin in (0.0, 0.5)
    ]
    assert ends[1][1] / ends[1][0] > ends[0][1] / ends[0][0]


def test_same_seed_same_fit(toy, real):
    first, same, other = (fit(real, begin(), toy, rounds=2, cases=2, seed=s) for s in (1, 1, 2))
    assert first == same
    assert first.misfits != other.misfits


def test_comments_name_the_statistic(toy, real):
    found = fit(real, begin(), toy, rounds=1, cases=1)
    assert found.comments["camera.photons"].startswith("signal ")
    assert found.comments["camera.gain"] == "photon transfer"


def test_without_labels_the_threshold_rules_both_sides(toy):
    stacks = [toy(parameters(40, 10), seed) for seed in range(2)]
    blind = measure([(image, None) for image, _ in stacks])
    found = fit(blind, begin(), toy, rounds=4, cases=2)
    assert np.mean(found.parameters["nucleus"]["diameter_um"]) == pytest.approx(10, rel=0.1)


def test_tight_tissue_is_widened(toy, real):
    widths = []

    def narrow(values, seed):
        widths.append(values["tissue"]["width_um"])
        if widths[-1] < 60:
            raise InputError("no room")
        return toy(values, seed)

    first = begin(**{"tissue.width_um": 50.0, "tissue.flattening": 1.0})
    fit(real, first, narrow, rounds=1, cases=1)
    assert widths[0] < 60 <= widths[-1]


def test_refusals_are_passed_on(toy, real):
    def never(values, seed):
        raise InputError("spheroid parameters: not like this")

    with pytest.raises(InputError, match="not like this"):
        fit(real, begin(), never, rounds=1, cases=1)
    with pytest.raises(InputError, match="not like this"):
        draw(never, {}, [1, 2])


def test_single_refusals_are_counted(toy):
    def sometimes(values, seed):
        if seed == 2:
            raise InputError("no room")
        return toy(values, seed)

    stacks, refused = draw(sometimes, parameters(10, 8), [1, 2, 3])
    assert (len(stacks), refused) == (2, 1)


@pytest.mark.parametrize(("rounds", "cases"), [(0, 1), (1, 0)])
def test_no_round_is_no_fit(toy, real, rounds, cases):
    with pytest.raises(InputError, match="needs a round and a case"):
        fit(real, begin(), toy, rounds=rounds, cases=cases)
