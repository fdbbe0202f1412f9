"""Facts that are known already."""

from cytosuite.metrics.evidence import Facts


def facts(**values):
    """Return them by name; those of images of a set by name and form, as `real__scenes`."""
    return Facts({name.replace("__", ":"): lambda v=v: v for name, v in values.items()})
