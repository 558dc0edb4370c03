"""Every diagram of the documentation and of rendered READMEs is drawn by the real mermaid in a real
Chromium, with all of its labels.

In two versions: that of the site's theme, and the one before it, which other readers of Markdown
still have.
"""

import functools
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import platformdirs
import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

import shapes
from conftest import ROOT, Render, npm_packages
from files import markdown

pytestmark = pytest.mark.slow

VERSIONS = {"mermaid-11": "npm:mermaid@11.17.2", "mermaid-12": "npm:mermaid@12.3.0"}
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Words that mean something to mermaid, as names; and titles that could end a block or a label.
NAMES = {"worker_name": "end", "upstreams": "class, graph, subgraph, click, style, o, x"}
TITLES = ['"]', "a --> b", "```", "~~~ mermaid", "%%{init: {}}%%", "</div>"]

# What was drawn: the words in the picture, or why there is none.
DRAW = """async source => {
    try {
        await mermaid.parse(source)
        const id = `drawn${document.drawn = (document.drawn || 0) + 1}`
        const {svg} = await mermaid.render(id, source)
        const place = document.createElement("div")
        place.innerHTML = svg
        document.body.replaceChildren(place)
        const picture = place.querySelector("svg")
        const {width, height} = picture.getBoundingClientRect()
        return {words: picture.textContent, width, height}
    } catch (error) {
        return {error: String(error)}
    }
}"""

Draw = Callable[[str], str]


@pytest.fixture(scope="module")
def packages() -> Path:
    """Both versions, installed once into the user's cache."""
    home = Path(platformdirs.user_cache_dir("private-worker-tests")) / "-".join(
        ["mermaid", *(version.rpartition("@")[2] for version in VERSIONS.values())]
    )
    return npm_packages(home, json.dumps({"private": True, "dependencies": VERSIONS}))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if not program:
        pytest.fail("install Chromium: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program)
        yield found
        found.close()


@pytest.fixture(scope="module", params=VERSIONS)
def page(request: pytest.FixtureRequest, browser: Browser, packages: Path) -> Iterator[Page]:
    """An empty page with mermaid, and without a network."""
    context = browser.new_context(offline=True)
    found = context.new_page()
    found.set_content("<!doctype html><title>diagrams</title>")
    found.add_script_tag(path=packages / request.param / "dist" / "mermaid.min.js")
    found.evaluate("mermaid.initialize({startOnLoad: false})")
    yield found
    context.close()


@pytest.fixture
def draw(page: Page) -> Draw:
    """Draw a diagram and return its words. AssertionError with mermaid's own words if it cannot."""

    def draw(source: str) -> str:
        drawn = page.evaluate(DRAW, source)
        assert "error" not in drawn, f"{drawn['error']}\n{source}"
        assert drawn["width"] > 50 and drawn["height"] > 20, source
        return str(drawn["words"])

    return draw


def diagrams(path: Path) -> list[str]:
    tokens = markdown(path.read_text(encoding="utf-8"))
    return [t.content for t in tokens if t.type == "fence" and t.info.strip() == "mermaid"]


def labels(source: str) -> set[str]:
    """The texts in quotes, in braces and on arrows."""
    quoted = re.findall(r'"([^"\n]*)"', source)
    on_arrows = re.findall(r"\|([^|\n]*)\|", source)
    found = {re.sub(r"<br ?/?>", " ", text).strip() for text in [*quoted, *on_arrows]}
    return {text for text in found if text}


def assert_drawn(draw: Draw, source: str) -> None:
    """Wherever a line is broken in the picture, the letters are there."""
    words = "".join(draw(source).split())
    for label in labels(source):
        assert "".join(label.split()) in words, label


def test_diagrams_of_the_documentation(draw: Draw) -> None:
    sources = [source for path in DOCUMENTS for source in diagrams(path)]
    assert sources and all(map(labels, sources))
    for source in sources:
        assert_drawn(draw, source)


def test_diagram_of_each_shape(draw: Draw, rendered: Render) -> None:
    """The shape is in its README's picture: who calls, and each private service by name."""
    for name, shape in shapes.of_interest().items():
        [source] = diagrams(rendered(**shapes.answers(shape)) / "README.md")
        assert_drawn(draw, source)
        words = draw(source)
        assert ("Person" in words) == (shapes.HUMAN in shape["callers"]), name
        assert ("Program" in words) == (shapes.MACHINE in shape["callers"]), name
        assert ("Calling Worker" in words) == (shapes.BINDING in shape["callers"]), name
        for upstream in shapes.UPSTREAMS[: shape["upstreams"]]:
            assert upstream in words, name


def test_names_that_mean_something_to_mermaid(draw: Draw, rendered: Render) -> None:
    everybody = {"profile": "custom", "callers": ["human", "machine", "binding"]}
    [source] = diagrams(rendered(**everybody, **NAMES) / "README.md")
    assert_drawn(draw, source)
    assert {"end", *NAMES["upstreams"].split(", ")} <= labels(source)


@pytest.mark.parametrize("title", TITLES)
def test_title_does_not_reach_the_diagram(rendered: Render, title: str) -> None:
    """Nor does it open or close a block in front of it."""
    answers = {"profile": "production", "worker_name": "my-api", "description": title}
    [source] = diagrams(rendered(**answers, project_name=title) / "README.md")
    [plain] = diagrams(rendered(profile="production", worker_name="my-api") / "README.md")
    assert source == plain


@pytest.mark.parametrize(
    "mistake",
    [
        "flowchart LR\n    a --> ",
        'flowchart LR\n    a["b"',
        'flowchart LR\n    a["b"]"]',
        "flowchat LR",
    ],
)
def test_a_mistake_is_seen(draw: Draw, mistake: str) -> None:
    with pytest.raises(AssertionError, match="rror|No diagram type"):
        draw(mistake)


def test_a_missing_label_is_seen(draw: Draw) -> None:
    """A label in a comment is not in the picture."""
    with pytest.raises(AssertionError, match="hidden"):
        assert_drawn(draw, 'flowchart LR\n    a["shown"]\n    %% b["hidden"]')


# --- On the site ---------------------------------------------------------------------------------

WITH_DIAGRAM, WITHOUT = "explanation/private/", "updates/"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


def served(folder: Path) -> Iterator[str]:
    """Build the site in the folder, and serve it on loopback."""
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    handler = functools.partial(Quiet, directory=folder / "site")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def elsewhere(browser: Browser, base: str, path: str, wait_for: str) -> list[str]:
    """What a browser asks other servers for. It gets nothing from them."""
    asked: list[str] = []

    def route(route: Route) -> None:
        if route.request.url.startswith(base):
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    page = browser.new_page()
    page.route("**/*", route)
    page.goto(base + path)
    page.wait_for_selector(wait_for)
    page.wait_for_load_state("networkidle")
    page.close()
    return asked


@pytest.fixture
def site(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    return tmp_path


def test_site_asks_nobody_else(site: Path, browser: Browser) -> None:
    """No fonts, no counters; for a diagram the one program that zensical.toml names. Without it the
    diagram stays as text."""
    for base in served(site):
        assert elsewhere(browser, base, WITHOUT, "h1") == []
        [asked] = elsewhere(browser, base, WITH_DIAGRAM, "article pre")
        assert re.fullmatch(r"https://unpkg\.com/mermaid@12/dist/mermaid\.min\.js", asked)


def test_mermaid_from_the_site_itself(site: Path, browser: Browser, packages: Path) -> None:
    """As the comment in zensical.toml says: then the diagram is drawn without anybody else."""
    shutil.copy(packages / "mermaid-12" / "dist" / "mermaid.min.js", site / "docs" / "assets")
    config = (site / "zensical.toml").read_text(encoding="utf-8")
    [line] = re.findall(r"`(extra_javascript = .*)`", config)
    (site / "zensical.toml").write_text(
        config.replace("[project]\n", f"[project]\n{line}\n"), encoding="utf-8"
    )
    for base in served(site):
        assert elsewhere(browser, base, WITH_DIAGRAM, "div.mermaid") == []
