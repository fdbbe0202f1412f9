"""Tools of others themselves, in their containers or this Python: labels as of the tool called directly."""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from house import ran

from cytosuite.benchmark.engines.images.blueprints import image_tag
from cytosuite.benchmark.engines.images.daemon import find_docker, find_image

PROGRAM = Path(__file__).parent / "agreement.py"
NEEDED = {"cellpose": ("cellpose",), "stardist": ("stardist", "tensorflow")}


def output_of(tool):
    """Return what the program prints where the tool is; a skip where it is nowhere."""
    # A folder of tests with the name of a tool is no tool: it has no origin.
    if all(getattr(find_spec(name), "origin", None) for name in NEEDED[tool]):
        done = ran(sys.executable, PROGRAM, tool, timeout=1800)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    client = find_docker()
    if isinstance(client, str) or find_image(client, image_tag(tool)) is None:
        pytest.skip(f"neither {tool} in this Python nor its image (make build-{tool})")
    walls = {"network_mode": "none", "read_only": True, "tmpfs": {"/tmp": ""}, "remove": True}
    words = ["-c", PROGRAM.read_text(), tool]
    printed = client.containers.run(
        image_tag(tool), words, entrypoint="python3", environment={"OMP_NUM_THREADS": "1"}, **walls
    )
    return printed.decode()


@pytest.mark.rivals
@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("tool", sorted(NEEDED))
def test_labels_are_those_of_the_tool_called_directly(tool):
    lines = [line for line in output_of(tool).splitlines() if line.startswith("agreement")]
    assert len(lines) == 8, lines
    assert all("equal=True" in line for line in lines)
    assert any(int(re.search(r"objects=(\d+)", line)[1]) > 1 for line in lines)
