"""Lets pages link to files of the repository as on the code host: some become pages, the others lie beside.

A page of ``docs/`` says ``[run.yaml](../configs/run.yaml)``, the README says ``[scan](docs/scan.md)``; both
work where the repository is read. In the site the README is the first page, the files of :data:`PAGES` are
pages, and any other file that a page links to is copied to ``repository/``.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "examples/README.md": "examples/README.md",
    "configs/README.md": "configs/README.md",
    "configs/seeds/README.md": "configs/seeds/README.md",
}
"""Markdown outside of ``docs/`` -> its place in the site."""

_PLACES = {place: source for source, place in PAGES.items()}
_FENCE = re.compile(r"^([ >]*)(```|~~~).*?^\1\2", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?(\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and the linked files that do not lie in ``docs/``."""
    for source, place in PAGES.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    for page in list(files.documentation_pages()):
        for target in _targets(page.content_string, _source(page.src_uri)):
            place = _place(target)
            if place.startswith("repository/") and files.get_file_from_path(place) is None:
                if not (ROOT / target).is_file():
                    raise PluginError(
                        f"{_source(page.src_uri)}: links to {target}, which is no file of the repository"
                    )
                files.append(File.generated(config, place, abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between places of the site."""
    source, here = _source(page.file.src_uri), posixpath.dirname(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        place = _place(_resolved(link[2], source))
        return f"{link[1]}{posixpath.relpath(place, here or '.')}{link[3] or ''}{link[4]}"

    return "".join(text if code else _LINK.sub(moved, text) for text, code in _parts(markdown))


def _source(place: str) -> str:
    return _PLACES.get(place, f"docs/{place}")


def _place(source: str) -> str:
    if source in PAGES:
        return PAGES[source]
    return source.removeprefix("docs/") if source.startswith("docs/") else f"repository/{source}"


def _resolved(link: str, source: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _targets(markdown: str, source: str) -> Iterator[str]:
    for text, code in _parts(markdown):
        if not code:
            yield from (_resolved(link[2], source) for link in _LINK.finditer(text))


def _parts(markdown: str) -> Iterator[tuple[str, bool]]:
    """Text and fenced code in turns; a link in code is no link."""
    at = 0
    for fence in _FENCE.finditer(markdown):
        yield markdown[at : fence.start()], False
        yield fence[0], True
        at = fence.end()
    yield markdown[at:], False
