import pytest

from cytosuite.errors import InputError, at, plain


@pytest.mark.parametrize(
    "text, shown",
    {
        "größe µ 核.tif": "größe µ 核.tif",
        "a\n b\t c": "a b c",
        "\x1b[2J\x07": r"\x1b[2J\x07",
        "a\0b": r"a\x00b",
        "\udcff.tif": r"\udcff.tif",
        "right\u202eto left": r"right\u202eto left",
        "": "",
    }.items(),
)
def test_a_line_is_what_every_terminal_shows(text, shown):
    assert plain(text) == shown
    assert plain(shown) == shown


def test_a_long_line_is_cut_and_says_so():
    assert plain("x" * 50, 10) == "xxxxxxx..."
    assert plain("x" * 10, 10) == "x" * 10
    assert len(plain("\0" * 10**6)) == 1000


def test_every_message_is_such_a_line():
    assert str(InputError("a\nb\udc80")) == r"a b\udc80"
    with pytest.raises(InputError, match=r"^a \\udc80 : cut$"), at("a  \udc80 "):
        raise InputError("a  \udc80 : cut")
