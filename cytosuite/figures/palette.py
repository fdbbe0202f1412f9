"""The colours of outlines and classes of objects: of the page, its viewer, stills and figures."""

from cytosuite.files import IntTriple

# Okabe and Ito, Color Universal Design (2008): apart for all common kinds of colour blindness.
TRUTH, PREDICTION = "truth", "right"  # outlines without an error
PALETTE = {
    "matched": "#0072b2",
    TRUTH: "#56b4e9",
    PREDICTION: "#e69f00",
    "missed": "#d55e00",
    "false": "#cc79a7",
    "split": "#f0e442",
    "merged": "#009e73",
}


def rgb(name: str) -> IntTriple:
    """Return a colour as red, green and blue, 0 to 255."""
    red, green, blue = bytes.fromhex(PALETTE[name].removeprefix("#"))
    return red, green, blue


def style() -> str:
    """Return the palette as CSS: a custom property, and a class of its key, by name."""
    properties = "".join(f" --{name}: {colour};" for name, colour in PALETTE.items())
    keys = "\n".join(f".{name}-key {{ --c: var(--{name}); }}" for name in PALETTE)
    return f":root {{{properties} }}\n{keys}"
