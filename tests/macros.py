"""Macros of ImageJ, where it is installed."""

import shutil

import pytest
from house import ran

needs_imagej = pytest.mark.skipif(
    not all(map(shutil.which, ("imagej", "xvfb-run", "java"))),
    reason="needs ImageJ: apt-get install imagej xvfb xauth",
)


def printed(folder, macro, *words):
    """Return the lines that a macro prints."""
    path = folder / "macro.ijm"
    path.write_text(macro)
    done = ran("xvfb-run", "-a", "java", "-jar", "/usr/share/java/ij.jar", "-batch", path, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
