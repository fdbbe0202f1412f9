"""Hooks of MkDocs: the pages of the checkout where they lie, and pages written by the program.

The site has the paths of the checkout, so that links between pages are the same on a forge.
"""

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

import pictures
import references
from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("*.md", "docs/**/*.md", "*/README.md", "*/*/README.md", "*/*/trials.md")
PATTERNS = (*PAGES, "docs/*.png", "docs/*.svg")
ELSEWHERE = {"runs", "dist", "build", "tests"}  # top folders without pages
NIGHTLY = """# Last night

The benchmark that runs every night on a GPU: [the report](../nightly/index.html).
"""
MORE = "More"  # title of the pages that the navigation does not name
REPOSITORY = os.environ.get("REPOSITORY", "").rstrip("/")
site: dict[str, Any] = {}  # the files and the present page, for `Links`


def on_config(config: MkDocsConfig) -> None:
    """Add the extension that turns links to sources into links to the repository.

    The theme does not know the repository: it would ask the forge for its stars at every view.
    """
    if REPOSITORY:
        config.extra["social"] = [{"icon": "fontawesome/brands/git-alt", "link": REPOSITORY}]
    config.markdown_extensions.insert(0, ForgeExtension())


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and pictures of the checkout, and those that are written now."""
    for uri in sorted(tracked()):
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / uri)))
    for uri, path in pictures.draw_missing():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    for uri, write in {**references.PAGES, **pictures.PAGES}.items():
        files.append(File.generated(config, uri, content=write()))
    for uri, path in night():
        files.append(File.generated(config, f"nightly/{uri}", abs_src_path=str(path)))
        if uri == "index.html":
            files.append(File.generated(config, "benchmark/nightly.md", content=NIGHTLY))
    pages = [file.src_uri for file in files.documentation_pages()]
    config.nav = complete(config.nav or [], pages)
    site["files"] = files
    return files


def tracked() -> Iterator[str]:
    """Yield the paths of the pages and pictures in the checkout, without those behind links."""
    for path in (path for pattern in PATTERNS for path in ROOT.glob(pattern)):
        uri = path.relative_to(ROOT).as_posix()
        if path.resolve() == path and uri.split("/")[0] not in ELSEWHERE and uri[0] != ".":
            yield uri


def night() -> Iterator[tuple[str, Path]]:
    """Yield the files of the report in the folder NIGHTLY, with their places; none without it."""
    if name := os.environ.get("NIGHTLY"):
        for path in sorted((ROOT / name).rglob("*.*")):
            if path.is_file() and path.suffix != ".md":  # report.md is the same without figures
                yield path.relative_to(ROOT / name).as_posix(), path


def complete(nav: list[Any], pages: list[str]) -> list[Any]:
    """Return the navigation with its patterns replaced by pages, and the others under `MORE`."""
    named = set(_named(nav))

    def filled(entries: list[Any]) -> Iterator[Any]:
        for entry in entries:
            if isinstance(entry, dict):
                yield {k: list(filled(v)) if isinstance(v, list) else v for k, v in entry.items()}
            elif "*" in entry:
                uris = [uri for uri in pages if fnmatchcase(uri, entry) and uri not in named]
                named.update(uris)
                yield from sorted(uris)
            else:
                yield entry

    full = list(filled(nav))
    rest = sorted(set(pages) - named)
    return [*full, {MORE: rest}] if rest else full


def _named(nav: list[Any]) -> Iterator[str]:
    """Yield the pages that a navigation names."""
    for entry in nav:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from _named(value) if isinstance(value, list) else [value]


def on_page_markdown(_: str, page: Page, **__: object) -> None:
    """Remember the page whose links come next."""
    site["page"] = page.file.src_uri


class Links(Treeprocessor):
    """Links to files and folders that are no pages lead to the repository, else nowhere."""

    def run(self, root: Element) -> None:
        """Change the links of a page, before MkDocs looks at them."""
        for link in root.iter("a"):
            parts = urlsplit(link.get("href", ""))
            target = normpath(join(dirname(site["page"]), unquote(parts.path)))
            if parts.scheme or parts.netloc or not parts.path or target in site["files"].src_uris:
                continue
            if (ROOT / target).exists():
                kind = "tree" if (ROOT / target).is_dir() else "blob"
                link.set("href", f"{REPOSITORY}/{kind}/main/{target}")
                if not REPOSITORY:
                    link.tag = "span"
                    link.attrib.clear()


class ForgeExtension(Extension):
    """Markdown as forges read it, with `Links` ahead of the check of MkDocs; before all others."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - as Markdown calls it
        """Register it."""
        md.tab_length = 2  # lists within lists, as forges read them
        md.build_parser()
        md.treeprocessors.register(Links(md), "links", 5)  # that of MkDocs has 0
