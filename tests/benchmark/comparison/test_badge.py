"""Badge: a well-formed picture whatever its texts are."""

import re
from xml.etree import ElementTree

import pytest

from cytosuite.benchmark.comparison.badge import DARK, GREEN, ORANGE, badge

SVG = "{http://www.w3.org/2000/svg}"


def test_texts_and_colours():
    for good, colour in ((True, GREEN), (False, ORANGE)):
        root = ElementTree.fromstring(badge("net", "SEG 0.812", good=good))
        assert [text.text for text in root.iter(f"{SVG}text")] == ["net", "SEG 0.812"]
        assert root.findall(f"{SVG}rect")[1].get("fill") == colour
    assert root.find(f"{SVG}title").text == "net: SEG 0.812, regression"


def test_wide_texts_make_a_wide_badge():
    narrow, wide = (
        int(ElementTree.fromstring(badge("a", text, good=True)).get("width"))
        for text in ("b", "b" * 30)
    )
    assert wide > narrow + 150


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '" onload="x', "]]>&amp;", "\x00\x1b[31m", "", "ä" * 500]
)
def test_texts_of_strangers_stay_texts(text):
    shown = badge(text, text, good=True)
    root = ElementTree.fromstring(shown)
    assert {node.tag for node in root.iter()} <= {
        f"{SVG}{n}" for n in ("svg", "title", "rect", "g", "text")
    }
    assert not [name for node in root.iter() for name in node.attrib if name.startswith("on")]
    assert int(root.get("width")) < 1000


def _luminance(colour):
    """Relative luminance of WCAG 2."""
    parts = [int(part, 16) / 255 for part in re.findall("..", colour[1:])]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("colour", [GREEN, ORANGE, DARK])
def test_white_is_readable_on_all_colours(colour):
    assert 1.05 / (_luminance(colour) + 0.05) >= 4.5
