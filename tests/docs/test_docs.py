"""Issue 7, "Documentation that runs": the site is built strictly, every link and anchor leads
somewhere, and the reference says what copier.yml and rendered projects say today.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import reference
import reference_conditions
import shapes
from commands import copier
from conftest import ROOT, Render, tracked_files
from files import anchors, links, markdown, read_jsonc
from questions import ASKED, QUESTIONS

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
REFERENCE = {name: (DOCS / "reference" / f"{name}.md") for name in reference.PAGES}
# Where the repository is read on the web; `org` is explained in the README.
OURS = re.compile(r"https://github\.com/org/private-worker/(?:blob|tree)/main/([^#]+)#?(.*)")
EVERYBODY = {"profile": "custom", "callers": ["human", "machine", "binding"], "staging": True}


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
    commands = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "uv run zensical build --strict" in commands


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


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = built(site)
    assert len(pages) == len(PAGES)
    assert sum(len(page.hrefs) for page in pages.values()) > 10 * len(pages)
    assert list(broken(site)) == []


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


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    """No fonts, no scripts, no pictures. A diagram's program is the exception: zensical.toml."""
    for name, page in built(site).items():
        assert [url for url in page.loaded if urlsplit(url).netloc] == [], name


def test_every_picture_says_what_it_shows(site: Path) -> None:
    for name, page in built(site).items():
        assert page.without_alt == [], name
    for path in [ROOT / "README.md", *(DOCS / page for page in PAGES)]:
        for token in markdown(path.read_text(encoding="utf-8")):
            if token.type == "image":
                assert len(token.content) > 10, f"{path.name}: {token.attrs['src']}"


@pytest.mark.parametrize("page", PAGES)
def test_no_relative_link_leaves_the_documentation(page: str) -> None:
    """On the site there is nothing outside: such a link needs the repository's address."""
    for link in links((DOCS / page).read_text(encoding="utf-8")):
        if not urlsplit(link).scheme and urlsplit(link).path:
            aim = Path(os.path.normpath(DOCS / page / ".." / urlsplit(link).path))
            assert aim.is_relative_to(DOCS), link


# --- The reference -------------------------------------------------------------------------------


def heads(name: str) -> list[str]:
    text = REFERENCE[name].read_text(encoding="utf-8")
    return [head.strip("# `") for head in re.findall(r"^##+ .*$", text, re.MULTILINE)]


def test_questions_are_current() -> None:
    text = reference.made("questions")
    assert reference.is_current("questions", text), "uv run python tools/reference.py"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in reference.PAGES if name != "questions"])
def test_page_is_current(name: str) -> None:
    text = reference.made(name)
    assert reference.is_current(name, text), "uv run python tools/reference.py"


def test_every_question_is_there_in_order() -> None:
    assert heads("questions") == ASKED


def question(name: str) -> str:
    text = REFERENCE["questions"].read_text(encoding="utf-8")
    return text.split(f"## `{name}`\n")[1].split("\n## ")[0]


def test_what_a_reader_looks_up() -> None:
    """Facts of the design, as the page puts them: nobody needs to read Jinja."""
    assert "| asked | no | no | no | unless `callers` is only `binding` |" in question("exposure")
    assert "It has a meaning when `exposure` is `custom_domain`." in question("hostname")
    assert "| default | no meaning | `invoice-api.example.com` |" in question("hostname")
    assert "when `exposure` is `custom_domain` and `staging` is `true`" in question(
        "staging_hostname"
    )
    assert "unless `callers` is only `binding` and `binding_style` is `rpc`" in question(
        "framework"
    )
    assert "`https://api.example.com`" in question("hostname")
    assert "| default | `none` | `github` | `github` | `github` |" in question("ci")
    text = REFERENCE["questions"].read_text(encoding="utf-8")
    assert "{{ " not in text and "{%" not in text


def test_every_choice_and_question_is_named() -> None:
    for name in ASKED:
        for value in shapes.PARAMETERS.get(name, ()):
            if "choices" in QUESTIONS[name] and isinstance(value, str):
                assert f"\n| `{value}` | " in question(name), (name, value)


@pytest.mark.slow
def test_pages_follow_copier_yml(tmp_path: Path) -> None:
    """A question with another name, another default and another condition: --check says so and
    writes nothing, and without it the page follows."""
    for name in tracked_files():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    config = tmp_path / "copier.yml"
    text = config.read_text(encoding="utf-8")
    for old, new in [
        ("\nsession_duration:\n", "\nlogin_lasts:\n"),
        ('default: "24h"', 'default: "6h"'),
        ("when: \"{{ exposure == 'custom_domain' }}\"", "when: \"{{ exposure == 'route' }}\""),
    ]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    config.write_text(text, encoding="utf-8")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "tools/reference.py", "questions", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    page = tmp_path / "docs" / "reference" / "questions.md"
    before = page.read_text(encoding="utf-8")
    check = run("--check")
    assert check.returncode == 1, check.stderr
    assert "docs/reference/questions.md is not current: uv run python tools/ref" in check.stdout
    assert page.read_text(encoding="utf-8") == before, "--check writes nothing"
    assert run().returncode == 0
    after = page.read_text(encoding="utf-8")
    assert "## `login_lasts`" in after and "## `session_duration`" not in after
    assert "| default | `6h` | `6h` | no meaning | `6h` |" in after
    hostname = after.split("## `hostname`")[1].split("\n## ")[0]
    assert "It has a meaning when `exposure` is `route`." in hostname


def test_conditions_in_words() -> None:
    """The fewest answers that decide."""
    cases = [
        reference_conditions.facts({"callers": callers, "staging": staging, "ci": "none"})
        for callers in shapes.PARAMETERS["callers"]
        for staging in (False, True)
    ]

    def words(holds: Callable[[reference_conditions.Facts], bool]) -> str:
        return reference_conditions.when(cases, [holds(case) for case in cases])

    assert words(lambda case: True) == ""
    assert words(lambda case: case["staging"]) == "when `staging` is `true`"
    assert words(lambda case: "human" in case["callers"]) == "when `callers` has `human`"
    assert (
        words(lambda case: case["callers"] != ("binding",)) == "unless `callers` is only `binding`"
    )
    assert words(lambda case: case["staging"] and "human" in case["callers"]) == (
        "when `staging` is `true` and `callers` has `human`"
    )
    with pytest.raises(ValueError, match="never"):
        words(lambda case: False)
    twice = [*cases, cases[0]]
    with pytest.raises(ValueError, match="something else"):
        reference_conditions.when(twice, [False] * len(cases) + [True])


def first_configuration(title: str) -> tuple[list[str], str]:
    """The words of the command, and the wrangler.jsonc below it."""
    text = REFERENCE["configurations"].read_text(encoding="utf-8")
    section = text.split(f"## {title}\n")[1].split("\n## ")[0]
    command = section.split("```sh\n")[1].split("```")[0]
    return shlex.split(command.replace("\\\n", " ")), section.split("```jsonc\n")[1].split("```")[0]


@pytest.mark.parametrize(
    "title", ["A personal Worker on workers.dev", "A route, for programs only"]
)
def test_configuration_is_what_the_command_writes(
    template: Path, tmp_path: Path, title: str
) -> None:
    (uvx, program, *words), shown = first_configuration(title)
    assert (uvx, program) == ("uvx", "copier")
    words[words.index("gh:org/private-worker")] = str(template)
    done = copier(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "my-api" / "wrangler.jsonc").read_text(encoding="utf-8") == shown


def test_configurations_show_every_exposure(tmp_path: Path) -> None:
    """The four ways to be reached, and a private service; each with nothing left to fill in."""
    text = REFERENCE["configurations"].read_text(encoding="utf-8")
    seen = []
    for number, shown in enumerate(re.findall(r"```jsonc\n(.*?)```", text, re.DOTALL)):
        (tmp_path / f"{number}.jsonc").write_text(shown, encoding="utf-8")
        config = read_jsonc(tmp_path / f"{number}.jsonc")
        routes = config["routes"]
        if "services" in config:
            seen.append("a caller")
        else:
            assert "REPLACE_WITH" not in shown
            seen += ["workers.dev"] * config["workers_dev"]
            seen += ["domain" if "custom_domain" in route else "route" for route in routes]
            seen += ["nowhere"] * (not config["workers_dev"] and not routes)
            seen += ["private service"] * ("vpc_services" in config)
            seen += ["staging"] * ("staging" in config.get("env", {}))
    assert set(seen) == {
        *("workers.dev", "domain", "route", "nowhere", "private service", "staging", "a caller")
    }


def test_every_command_is_there(rendered: Render) -> None:
    """`python -m ops --help` of a project that has them all."""
    project = rendered(**EVERYBODY)
    command = [sys.executable, "-m", "ops", "--help"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^    ([a-z]+)(?: |$)", done.stdout, re.MULTILINE))
    assert {"check", "probe"} < listed <= set(heads("commands"))


@pytest.mark.slow
def test_every_reason_and_variable_is_there(rendered: Render) -> None:
    """Those that the guard of each shape has."""
    text = REFERENCE["guard"].read_text(encoding="utf-8")
    for name, shape in shapes.of_interest().items():
        project = rendered(**shapes.answers(shape))
        source = (project / "src" / "guard" / "refusal.py").read_text(encoding="utf-8")
        reasons = re.findall(r'^    [A-Z_]+ = "([a-z_]+)"$', source, re.MULTILINE)
        assert len(reasons) >= 4, name
        for reason in reasons:
            assert f"\n| `refuse` | `{reason}` | " in text, (name, reason)
        for variable in read_jsonc(project / "wrangler.jsonc")["vars"]:
            assert f"\n| `{variable}` | " in text, (name, variable)
