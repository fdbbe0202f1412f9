"""The contrast of all text on all grounds: 4.5 and more, as WCAG 2 asks of level AA."""

import re
from pathlib import Path

import pytest
from PIL.ImageColor import getrgb

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


def mixed(colour, ground, share):
    pairs = zip(getrgb(colour), getrgb(ground), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def luminance(colour):
    shares = [part / 255 for part in getrgb(colour)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_is_readable(scheme):
    colours = schemes()[scheme]
    pairs = [(text, colours[ground]) for text in TEXT for ground in GROUNDS]
    pairs += [("ink", mixed(colours[hue], colours["card"], 0.55)) for hue in ("good", "poor")]
    pairs += [(text, schemes()["light"]["dark"]) for text in ("dark-ink", "dark-quiet")]
    assert [(text, ground) for text, ground in pairs if contrast(colours[text], ground) < 4.5] == []
