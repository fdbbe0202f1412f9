"""What `pyproject.toml` cannot say: the repository's address, which a release's job knows."""

import os
import re
from pathlib import Path

from setuptools import setup

page, urls = Path("README.md").read_text(encoding="utf-8"), {}
if name := os.environ.get("GITHUB_REPOSITORY"):
    home, tag = f"{os.environ['GITHUB_SERVER_URL']}/{name}", os.environ["GITHUB_REF_NAME"]
    urls = {"Repository": home, "Changelog": f"{home}/blob/{tag}/CHANGELOG.md"}
    # A package index shows the page without the files that it links to.
    for link, kind in ((r"(!\[[^]]*]\()", "raw"), (r"(?<!!)(\[[^]]*]\()", "blob")):
        page = re.sub(link + r"(?!\w+:|#)", rf"\g<1>{home}/{kind}/{tag}/", page)

setup(long_description=page, long_description_content_type="text/markdown", project_urls=urls)
