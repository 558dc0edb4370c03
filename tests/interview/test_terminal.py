"""The interview in a real terminal, for each profile.

It is run in tmux at 80 columns and 24 rows, and once more where every line has room. Both read the
same, so nothing is cut or wrapped. Without colours, in a dumb or narrow terminal, without UTF-8 and
without any terminal too. And the picture in the README is the one that the interview gives today.
"""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

import screenshot
from commands import Done
from conftest import ROOT, Render
from files import texts
from questions import CONFIG, QUESTIONS, complaint
from shapes import AUD, CLIENT_IDS
from terminal import CLEAR, COLUMNS, COMMAND, ENTER, INTERRUPT, Missing, Script, Terminal, needed
from test_interview import CORRECTIONS, CUSTOM, INTERNAL, PERSONAL, PRODUCTION, TITLES

MARK = "🎤"  # Copier's, before each question
ROOM = 400  # columns: wider than any line

Open = Callable[..., Terminal]

# What is typed in each profile, and the same answers for `--data`.
INTERVIEWS: dict[str, tuple[list[tuple[str, str]], dict[str, Any]]] = {
    "personal": (
        PERSONAL,
        {
            "project_name": "Invoice API",
            "allowed_emails": "ann@example.com",
            "team_domain": "acme",
        },
    ),
    "production": (
        PRODUCTION,
        {
            "profile": "production",
            "project_name": "Invoice API",
            "hostname": "invoices.example.net",
            "agents": ["claude", "other"],
            "agent_redirect_uris": "https://agent.example.com/cb",
            "staging": True,
            "allowed_emails": "ann@example.com, bob@example.com",
            "allowed_service_tokens": CLIENT_IDS[0],
            "team_domain": "acme",
            "policy_aud": AUD,
            "upstreams": "billing",
        },
    ),
    "internal": (
        INTERNAL,
        {
            "profile": "internal",
            "project_name": "Invoice API",
            "worker_name": "invoices",
            "calling_workers": "gateway",
            "ci": "gitlab",
        },
    ),
    "custom": (
        CUSTOM,
        {
            "profile": "custom",
            "project_name": "Invoice API",
            "callers": ["human", "machine", "binding"],
            "exposure": "route",
            "zone_name": "example.net",
            "access_scope": "worker",
            "preview_urls": True,
            "staging": True,
            "identity_provider": "cloudflare",
            "binding_style": "both",
            "requests_per_minute": "300",
            "framework": "fastapi",
            "ops": False,
        },
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the commands are typed."""
    found = tmp_path / "work"
    found.mkdir()
    return found


@pytest.fixture
def opened(template: Path, tmp_path: Path, folder: Path) -> Open:
    """Open a terminal there."""

    def opened(columns: int = 80, rows: int = 24, **variables: str) -> Terminal:
        return Terminal(template, folder, tmp_path / "home", columns, rows, variables)

    return opened


def answers(project: Path) -> dict[str, Any]:
    """What was stored, without what Copier says of itself."""
    stored = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    return {name: value for name, value in stored.items() if not name.startswith("_")}


def assert_same(project: Path, expected: Path) -> None:
    """The same answers, and the same bytes in every other file."""
    assert answers(project) == answers(expected)
    ours, theirs = texts(project), texts(expected)
    del ours[".copier-answers.yml"], theirs[".copier-answers.yml"]
    assert ours == theirs


@pytest.mark.slow
@pytest.mark.parametrize("profile", INTERVIEWS)
def test_interview_at_80_columns(
    opened: Open, folder: Path, rendered: Render, profile: str
) -> None:
    """Each question is on the screen as a whole when it is answered, each line of the screen is as
    it is where there is room, and what is typed means the same as with --data."""
    script, given = INTERVIEWS[profile]
    with opened(columns=ROOM) as terminal:
        roomy = terminal.interview([*script[:-1], (script[-1][0], INTERRUPT)])
    with opened() as terminal:
        screens = terminal.interview(script)
        asked = [line for line in terminal.everything() if line.startswith(MARK)]
    assert screens[:-1] == roomy[:-1]
    assert_same(folder / "my-api", rendered(**given))
    assert len(asked) == len(script)
    assert len(asked) <= 5 or profile != "personal"


@pytest.mark.slow
@pytest.mark.parametrize("profile", INTERVIEWS)
def test_wrong_answers_at_80_columns(opened: Open, folder: Path, profile: str) -> None:
    """Each free text is answered wrongly first. The message is on one line of the screen, cut off
    at its end, the question still above it, and the next answer is taken."""
    script, _ = INTERVIEWS[profile]
    wrong = {TITLES[name]: (name, bad, good) for of, name, bad, good in CORRECTIONS if of is script}
    assert wrong
    with opened() as terminal:
        terminal.type(COMMAND + ENTER)
        for title, keys in script:
            terminal.wait_for(title)
            if title not in wrong:
                terminal.type(keys)
                continue
            name, bad, good = wrong[title]
            terminal.type(CLEAR + bad + ENTER)
            said = f"Validation error for question '{name}': {said_of(name, bad, script)}"
            message = said[:COLUMNS]
            shown = terminal.wait_for(message)
            assert message in shown
            assert any(title in line for line in shown)
            terminal.type(CLEAR + good + ENTER)
        terminal.wait_for_shell()
    stored = answers(folder / "my-api")
    assert {name: stored[name] for name, _, _ in wrong.values()} == {
        name: good for name, _, good in wrong.values()
    }


def said_of(name: str, bad: str, script: Script) -> str:
    """The validator's line for that answer, after the answers of the script."""
    return complaint(
        name,
        bad,
        worker_name="invoices" if script is INTERNAL else "invoice-api",
        zone_name="example.net",
        hostname="invoices.example.net",
        route_pattern="api.example.net/*",
        policy_aud="",
        agents=[],
    )


@pytest.mark.slow
def test_nobody_selected_at_80_columns(opened: Open) -> None:
    """The one message that is not about a text."""
    message = f"Validation error for question 'callers': {complaint('callers', [])}"
    place = [title for title, _ in CUSTOM].index("Which kinds of callers are let in?")
    with opened() as terminal:
        terminal.type(COMMAND + ENTER)
        for title, keys in CUSTOM[:place]:
            terminal.wait_for(title)
            terminal.type(keys)
        terminal.wait_for(CUSTOM[place][0])
        terminal.type("i" + "i" + "a" + "a" + ENTER)  # all, then none
        assert message in terminal.wait_for(message)
        terminal.type(INTERRUPT)
        terminal.wait_for_shell()


@pytest.mark.slow
def test_interrupt_leaves_nothing(opened: Open, folder: Path) -> None:
    """Ctrl-C in the middle: the shell is back, and the folder is as it was."""
    with opened() as terminal:
        *_, end = terminal.interview([*PERSONAL[:3], (PERSONAL[3][0], "acme" + INTERRUPT)])
        assert "Traceback" not in "\n".join(end)
        terminal.type("ls -A | wc -l" + ENTER)
        terminal.wait_for("0")
        assert terminal.wait_for_shell()[-2] == "0"
    assert list(folder.iterdir()) == []


UNUSUAL: dict[str, tuple[int, dict[str, str]]] = {
    "no colour": (80, {"NO_COLOR": "1"}),
    "dumb": (80, {"TERM": "dumb"}),
    "no utf-8": (80, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "narrow": (40, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_terminal(opened: Open, folder: Path, rendered: Render, name: str) -> None:
    """The same answers give the same project."""
    columns, variables = UNUSUAL[name]
    script = [(title[: columns - 3], keys) for title, keys in PERSONAL]
    with opened(columns, **variables) as terminal:
        screens = terminal.interview(script)
        coloured = terminal.everything(colours=True)
    assert_same(folder / "my-api", rendered(**INTERVIEWS["personal"][1]))
    assert "Traceback" not in "\n".join(screens[-1])
    if name in ("no colour", "dumb"):
        questions = [line for line in coloured if not re.search(r"(create|identical)\x1b", line)]
        assert not re.search(r"\x1b\[([\d;]*;)?(3[0-8]|4[0-8]|9\d)[;m]", "\n".join(questions))


WITHOUT = ["--defaults", "--quiet", "--data=project_name=Invoice API", "--data=team_domain=acme"]


def copy(template: Path, folder: Path, *options: str, **more: Any) -> Done:
    command = [sys.executable, "-m", "copier", "copy", *options, str(template), "my-api"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, **more)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["", "\n"])
def test_pipe_instead_of_a_terminal(template: Path, folder: Path, given: str) -> None:
    """Nobody can be asked: the last line says what to do instead, and nothing is left."""
    done = copy(template, folder, input=given)
    assert done.returncode == 1
    assert done.stderr.rstrip().splitlines()[-1] == (
        "Interactive session required: Use `--defaults` and/or `--data`/`--data-file`"
    )
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_way_out_without_a_terminal(template: Path, folder: Path, rendered: Render) -> None:
    """What that line advises, with the answers that a profile asks for."""
    done = copy(template, folder, *WITHOUT, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert_same(folder / "my-api", rendered(project_name="Invoice API", team_domain="acme"))


@pytest.mark.slow
def test_way_out_of_a_dumb_terminal(
    template: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copier moves the cursor also where TERM=dumb, and always colours its list of files. With
    `--defaults --quiet` not one code is sent to the terminal."""
    monkeypatch.setenv("TERM", "dumb")
    assert b"\x1b" in sent(template, folder, "--defaults", "--pretend")
    assert sent(template, folder, *WITHOUT) == b""


def sent(template: Path, folder: Path, *options: str) -> bytes:
    """All that a terminal gets."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "copier", "copy", *options, str(template), "my-api"]
    copier = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    got = b"".join(_chunks(ours))
    os.close(ours)
    assert copier.wait() == 0
    return got


def _chunks(terminal: int) -> Iterator[bytes]:
    """Until nobody is left who could write."""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux says that a terminal is closed like this
            return
        if not chunk:
            return
        yield chunk


def test_words_are_ascii() -> None:
    """All that is ours comes through where there is no UTF-8."""
    texts = [value for name, value in CONFIG.items() if name.startswith("_message")]
    texts += [
        QUESTIONS[name][part]
        for name in QUESTIONS
        for part in ("help", "choices", "placeholder")
        if part in QUESTIONS[name]
    ]
    assert len(texts) > 30
    assert [text for text in texts if not str(text).isascii()] == []


@pytest.mark.slow
def test_picture_is_current() -> None:
    """The interview of today gives the same bytes."""
    command = [sys.executable, str(ROOT / "tools" / "screenshot.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_picture_that_is_old(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` says what to do and writes nothing; without it the picture is written."""
    picture = tmp_path / "pictures" / "interview.svg"
    says = "docs/pictures/interview.svg is not current: uv run python tools/screenshot.py\n"
    assert screenshot.kept_current(picture, "new", check=True) == 1
    assert capsys.readouterr().out == says and not picture.parent.exists()
    assert screenshot.kept_current(picture, "old", check=False) == 0
    assert screenshot.kept_current(picture, "new", check=True) == 1
    assert picture.read_text(encoding="utf-8") == "old"
    assert screenshot.kept_current(picture, "new", check=False) == 0
    assert screenshot.kept_current(picture, "new", check=True) == 0
    assert picture.read_text(encoding="utf-8") == "new"


def test_picture_shows_what_it_should() -> None:
    """The command, five questions with their answers, and what is next. It loads nothing, and it
    says nothing of the machine that made it."""
    text = screenshot.PICTURE.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    lines = ["".join(element.itertext()).replace("\u00a0", " ") for element in root.iter()]
    shown = "\n".join(lines)
    for line in (COMMAND, "Invoice API", "ann@example.com", "acme", "  cd my-api", "  npm install"):
        assert line in shown
    for title, _ in PERSONAL:
        assert title in shown
    assert text.count(MARK) == len(PERSONAL)
    assert "create" not in shown
    assert re.findall(r"https?://[^\"<]*|url\([^#][^)]*\)|@import|<script|<image", text) == [
        "http://www.w3.org/2000/svg"
    ]
    assert not re.search(rf"/tmp|/home|/root|{re.escape(str(ROOT))}", text)


@pytest.mark.slow
def test_picture_in_a_browser(tmp_path: Path) -> None:
    """No line runs out of the picture, none is squeezed, and each is readable on its ground."""
    from playwright.sync_api import sync_playwright  # slow to import, and used here only

    page_errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needed("chromium"))
        page = browser.new_page(viewport={"width": 1100, "height": 1000})
        page.on("request", lambda request: page_errors.append(request.url))
        page.set_content(screenshot.PICTURE.read_text(encoding="utf-8"))
        boxes = page.evaluate(
            """() => {
                const picture = document.querySelector('svg').getBoundingClientRect();
                return [...document.querySelectorAll('text')].map(text => {
                    const box = text.getBoundingClientRect();
                    return [text.textContent, box.left >= picture.left, box.right <= picture.right,
                            box.bottom <= picture.bottom];
                });
            }"""
        )
        browser.close()
    assert page_errors == []
    assert len(boxes) > 20
    assert [box for box in boxes if not all(box[1:])] == []


def test_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that needs it fails with what to install."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Missing, match="^tmux is not installed. On Debian: apt-get install tmux$"):
        needed("tmux")
