"""The curves of spots: the bound of places, the light that a signal-to-noise ratio needs."""

import numpy as np
import pytest
import spots


@pytest.mark.parametrize("sigma", [4.0, 10.0])
def test_the_bound_without_other_light_is_sigma_over_the_root_of_the_photons(sigma):
    """Along each of two axes, in pixels that are small for the psf."""
    found = spots.bound_px(2500.0, sigma, 1e-6)
    assert found == pytest.approx(np.sqrt(2) * sigma / 50, rel=0.01)


def test_the_bound_grows_with_the_background_as_published():
    """Mortensen et al. 2010, equation of the weighted fits, by its integral over t."""
    sigma, light, noise = 3.0, 500.0, 20.0
    t = (np.arange(200_000) + 0.5) / 200_000
    tau = 2 * np.pi * sigma**2 * noise / light
    loss = np.mean(np.log(t) / (1 + t / tau))
    found = spots.bound_px(light, np.sqrt(sigma**2 - 1 / 12), noise) / np.sqrt(2)
    assert found == pytest.approx(sigma / np.sqrt(light * (1 + loss)), rel=0.02)


def test_a_spot_in_the_middle_of_its_pixel_has_the_ratio():
    peak = spots.photons(5.0) * spots.peak_share(spots.SIGMA)
    assert peak / np.sqrt(peak + spots.DARK) == pytest.approx(5.0)


def test_drawn_spots_are_found_near_the_bound(monkeypatch, capsys):
    for name, value in (("SIDE", 256), ("RATIOS", (6.0, 12.0)), ("DENSITIES", (1.0, 2.0))):
        monkeypatch.setattr(spots, name, value)
    spots.curves()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert all(float(row[1]) > 0.95 for row in (rows[1], rows[2], rows[4], rows[5]))
    assert all(0.85 < float(row[-1]) < 1.15 for row in rows[1:3])
