"""The site is built strictly, every link and anchor leads somewhere, and the generated reference is
what tools/reference.py makes of copier.yml and of rendered projects today."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import reference
from conftest import ROOT
from files import anchors, links, markdown
from questions import ASKED

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
# Where the repository is read on the web; `org` is explained in the README.
OURS = re.compile(r"https://github\.com/org/private-worker/(?:blob|tree)/main/([^#]+)#?(.*)")


# --- The site ------------------------------------------------------------------------------------


def sources(destination: Path) -> Path:
    """A copy of what the site is made of, free to be changed."""
    shutil.copytree(DOCS, destination / "docs")
    shutil.copy(ROOT / "zensical.toml", destination)
    return destination


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`--strict` is what .ci/run does."""
    return subprocess.run(
        [sys.executable, "-m", "zensical", "build", *options],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. Do not change it."""
    folder = sources(tmp_path_factory.mktemp("site"))
    done = build(folder, "--strict")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_ci_builds_it() -> None:
    assert "zensical build --strict" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.slow
def test_strict_is_strict(tmp_path: Path) -> None:
    """Each link and anchor that leads nowhere is named, and the build fails."""
    folder = sources(tmp_path)
    mistakes = ["gone.md", "updates.md#gone", "#gone", "reference/questions.md#gone"]
    for number, mistake in enumerate(mistakes):
        name = f"mistake{number}.md"
        (folder / "docs" / name).write_text(f"# A page\n\n[x]({mistake})\n", encoding="utf-8")
    done = build(folder, "--strict")
    assert done.returncode != 0
    for number, mistake in enumerate(mistakes):
        assert f"mistake{number}.md:3" in done.stdout + done.stderr, mistake


def nav_entries(entries: list[dict[str, object]]) -> Iterator[str]:
    for entry in entries:
        for target in entry.values():
            if isinstance(target, str):
                yield target
            elif isinstance(target, list):
                yield from nav_entries(target)


def test_every_page_is_in_the_nav() -> None:
    """Each once, and nothing else."""
    config = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    assert sorted(nav_entries(config["project"]["nav"])) == PAGES


# --- The built pages -----------------------------------------------------------------------------


@dataclass
class Built(HTMLParser):
    """What a built page holds and where it leads."""

    text: str
    ids: set[str] = field(default_factory=set)
    hrefs: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)  # by the browser, without a click
    without_alt: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.hrefs.append(values["href"])
        if tag == "link" and values.get("rel") not in ("canonical", "prev", "next", "alternate"):
            self.loaded.append(values["href"])
        if "src" in values:
            self.loaded.append(values["src"])
        if tag == "img" and not values.get("alt", "").strip():
            self.without_alt.append(values["src"])


def built(site: Path) -> dict[str, Built]:
    """Every page but the one for addresses that do not exist, by its path in the site."""
    pages = [path for path in sorted(site.rglob("*.html")) if path.name != "404.html"]
    return {
        path.relative_to(site).as_posix(): Built(path.read_text(encoding="utf-8")) for path in pages
    }


def target(page: str, link: str) -> tuple[str, str]:
    """The file in the site that a relative link leads to, and the anchor."""
    path, anchor = unquote(urlsplit(link).path), unquote(urlsplit(link).fragment)
    if not path:
        return page, anchor
    if path.rpartition("/")[2] in ("", ".", ".."):  # a folder
        path = f"{path}/index.html"
    return os.path.normpath(os.path.join(os.path.dirname(page), path)), anchor


def broken(site: Path) -> Iterator[str]:
    """Each link inside the site, and into the repository, that leads nowhere."""
    pages = built(site)
    for name, page in pages.items():
        for link in [*page.hrefs, *page.loaded]:
            if ours := OURS.fullmatch(link):
                file = ROOT / ours[1]
                if not file.exists():
                    yield f"{name}: {link}"
                elif ours[2] and ours[2] not in anchors(file.read_text(encoding="utf-8")):
                    yield f"{name}: {link}"
            elif not urlsplit(link).scheme:
                path, anchor = target(name, link)
                if not (site / path).is_file():
                    yield f"{name}: {link}"
                elif anchor and path in pages and anchor not in pages[path].ids:
                    yield f"{name}: {link}"


@pytest.mark.slow
def test_every_link_leads_somewhere(site: Path) -> None:
    pages = built(site)
    assert len(pages) == len(PAGES)
    assert sum(len(page.hrefs) for page in pages.values()) > 10 * len(pages)
    assert list(broken(site)) == []


@pytest.mark.slow
def test_a_broken_link_is_seen(site: Path, tmp_path: Path) -> None:
    """What the test above would say."""
    changed = shutil.copytree(site, tmp_path / "site")
    repository = "https://github.com/org/private-worker/blob/main"
    wrong = ["../gone/", "#gone", "../updates/#gone", "../copier.yml", "../../decisions/"]
    wrong += [f"{repository}/gone.py", f"{repository}/README.md#gone"]
    right = ["../updates/", "..", "#decisions", "../updates/#a-conflict", "../assets/site.css"]
    right += [
        f"{repository}/copier.yml",
        f"{repository}/README.md#for-a-team",
        "https://example.com",
    ]
    with (changed / "decisions" / "index.html").open("a", encoding="utf-8") as page:
        page.writelines(f'<a href="{link}">x</a>' for link in [*wrong, *right])
        page.write(
            '<img src="../gone.svg" alt=" "><script src="https://example.com/x.js"></script>'
        )
    assert list(broken(changed)) == [f"decisions/index.html: {x}" for x in [*wrong, "../gone.svg"]]
    page_with_mistakes = built(changed)["decisions/index.html"]
    assert "https://example.com/x.js" in page_with_mistakes.loaded
    assert page_with_mistakes.without_alt == ["../gone.svg"]


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    """No fonts, no scripts, no pictures. A diagram's program is the exception: zensical.toml."""
    for name, page in built(site).items():
        assert [url for url in page.loaded if urlsplit(url).netloc] == [], name


@pytest.mark.slow
def test_every_picture_says_what_it_shows(site: Path) -> None:
    for name, page in built(site).items():
        assert page.without_alt == [], name
    for path in [ROOT / "README.md", *(DOCS / page for page in PAGES)]:
        for token in markdown(path.read_text(encoding="utf-8")):
            if token.type == "image":
                assert len(token.content) > 10, f"{path.name}: {token.attrs['src']}"


def test_links_out_of_the_documentation() -> None:
    """On the site there is nothing outside: such a link needs the repository's address, and there
    has to be something."""
    for page in PAGES:
        for link in links((DOCS / page).read_text(encoding="utf-8")):
            if ours := OURS.fullmatch(link):
                assert (ROOT / ours[1]).exists(), f"{page}: {link}"
            elif not urlsplit(link).scheme and urlsplit(link).path:
                aim = Path(os.path.normpath(DOCS / page / ".." / urlsplit(link).path))
                assert aim.is_relative_to(DOCS), f"{page}: {link}"


# --- The reference -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", reference.PAGES)
def test_generated_page_is_current(name: str) -> None:
    text = reference.made(name)
    assert reference.is_current(name, text), "uv run python tools/reference.py"


def test_every_question_is_there_in_order() -> None:
    text = (DOCS / "reference" / "questions.md").read_text(encoding="utf-8")
    assert re.findall(r"^## `(\w+)`$", text, re.MULTILINE) == ASKED
    assert "{{ " not in text and "{%" not in text


@pytest.mark.slow
def test_an_old_page_is_named_and_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`--check` says so; without it the page follows."""
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    (tmp_path / "questions.md").write_text("old", encoding="utf-8")
    assert reference.main(["--check", "questions"]) == 1
    assert (tmp_path / "questions.md").read_text(encoding="utf-8") == "old"
    assert reference.main(["questions"]) == 0 == reference.main(["--check", "questions"])
