"""Badge of a benchmark: a small SVG picture with a score, for a page or README."""

from html import escape

from cytosuite.errors import plain

GREEN, ORANGE, DARK = "#2e7d32", "#b45309", "#3f3f46"  # white on them: a contrast of 5 or more
LETTER, PAD, HEIGHT = 6.6, 6, 20  # pixels
LONGEST = 60  # characters of a part


def badge(label: str, message: str, *, good: bool) -> str:
    """Return a badge as SVG, without scripts, fonts or links.

    Parameters
    ----------
    label, message : str
        Texts of any origin: what is shown, and its value.
    good : bool
        Green, else orange; the title says it in words, too.
    """
    texts = [plain(text, LONGEST) for text in (label, message)]
    widths = [round(LETTER * len(text)) + 2 * PAD for text in texts]
    total = sum(widths)
    state = "no regression" if good else "regression"
    title = escape(f"{texts[0]}: {texts[1]}, {state}")
    middles = (widths[0] / 2, widths[0] + widths[1] / 2)
    words = "".join(
        f'<text x="{middle:g}" y="14" textLength="{width - 2 * PAD}">{escape(text)}</text>'
        for middle, width, text in zip(middles, widths, texts, strict=True)
        if text
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{HEIGHT}" role="img" '
        f'aria-label="{title}"><title>{title}</title>'
        f'<rect width="{widths[0]}" height="{HEIGHT}" fill="{DARK}"/>'
        f'<rect x="{widths[0]}" width="{widths[1]}" height="{HEIGHT}" '
        f'fill="{GREEN if good else ORANGE}"/>'
        f'<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" '
        f'font-size="11">{words}</g></svg>\n'
    )
