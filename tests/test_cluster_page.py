"""docs/cluster.md: its files of a site are read, its tables are those of the code."""

import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from cytosuite.benchmark.cluster.site import ClusterSite, read_site

PAGE = (Path(__file__).parents[1] / "docs" / "cluster.md").read_text()
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_every_site_of_the_page_is_read_and_each_engine_has_one(tmp_path):
    path, found = tmp_path / "site.toml", set()
    for block in BLOCKS:
        path.write_text(block)
        site = read_site(path)
        assert site.interface
        found.add(site.engine)
    assert found == {"process", "docker", "podman", "apptainer"}


def test_every_key_of_a_site_is_on_the_page_with_its_default():
    """Copy the expected rows into the page."""
    rows = []
    for name, field in ClusterSite.model_fields.items():
        assert field.default is not PydanticUndefined
        default = "" if field.default in (None, ()) else f"`{field.default}`"
        rows.append(f"| `{name}` | {field.description} | {default} |")
    assert "\n".join(rows) in PAGE
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M)) == set(ClusterSite.model_fields)
