"""The contrast of all text on all grounds: 4.5 and more, as WCAG 2 asks of level AA."""

import re
from pathlib import Path

import pytest

from cytosuite.benchmark import report

FOLDER = Path(report.__file__).parent
STYLE = "\n".join((FOLDER / name).read_text() for name in ("style.css", "print.css"))
TEXT = ("ink", "quiet", "accent", "bad")
GROUNDS = ("paper", "card", "shade")


def variables(text):
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6}|#[0-9a-f]{3})\b", text))


def schemes():
    """Return the colours in light, in dark and on paper."""
    light, *others = re.findall(r":root \{(.*?)\}", STYLE, re.S)
    dark, printed = others
    base = variables(light)
    return {"light": base, "dark": base | variables(dark), "print": base | variables(printed)}


def rgb(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    return [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]


def mixed(colour, ground, share):
    pairs = zip(rgb(colour), rgb(ground), strict=True)
    return "#" + "".join(f"{round(255 * (share * a + (1 - share) * b)):02x}" for a, b in pairs)


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
@pytest.mark.parametrize("text", TEXT)
@pytest.mark.parametrize("ground", GROUNDS)
def test_text_is_readable(scheme, text, ground):
    colours = schemes()[scheme]
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
@pytest.mark.parametrize("hue", ["good", "poor"])
def test_text_on_the_strongest_colour_of_a_table_is_readable(scheme, hue):
    colours = schemes()[scheme]
    assert contrast(colours["ink"], mixed(colours[hue], colours["card"], 0.55)) >= 4.5


def test_no_faint_text_stands_on_the_colours_of_a_table():
    """Quiet and warning colours are for plain grounds: on coloured cells all text is ink."""
    assert ".heat td .badge { color: inherit; }" in STYLE
    assert (
        ".heat td small { font-size: .75rem; color: inherit; }"
        in (FOLDER / "figures.css").read_text()
    )
    assert not re.search(r"\.heat \.control( td)? \{ color: var\(--quiet\)", STYLE)


@pytest.mark.parametrize("text", ["dark-ink", "dark-quiet"])
def test_the_dark_room_is_readable(text):
    colours = schemes()["light"]
    assert contrast(colours[text], colours["dark"]) >= 4.5
