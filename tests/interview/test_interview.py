"""Prompting, for each profile: which questions, in which order, and what a wrong answer is told.

A person at a terminal, played through prompt_toolkit's pipe input.
"""

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from copier import run_copy
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from files import read_jsonc
from questions import FREE_TEXT, QUESTIONS, complaint, fill
from shapes import AUD, CLIENT_IDS, PARAMETERS

ENTER, DOWN, SPACE, CLEAR, INTERRUPT = "\r", "\x1b[B", " ", "\x15", "\x03"
PATIENCE = 30  # seconds

# What a person reads, and what they type when they read it.
Script = list[tuple[str, str]]


class Screen(DummyOutput):
    """A terminal wide enough for every line, that remembers all that was ever shown."""

    def __init__(self) -> None:
        self.shown = ""

    def write(self, data: str) -> None:
        self.shown += data

    def write_raw(self, data: str) -> None:
        self.shown += data

    def get_size(self) -> Size:
        return Size(rows=100, columns=1000)


class Typist(threading.Thread):
    """Types each answer when its question is on the screen."""

    def __init__(self, screen: Screen, keyboard: PipeInput, script: Script) -> None:
        super().__init__(daemon=True)
        self.screen, self.keyboard, self.script = screen, keyboard, script
        self.missed: str | None = None

    def run(self) -> None:
        seen = 0
        for expected, keys in self.script:
            deadline = time.monotonic() + PATIENCE
            while (found := self.screen.shown.find(expected, seen)) < 0:
                if time.monotonic() > deadline:
                    self.missed = expected
                    self.keyboard.send_text(INTERRUPT)
                    return
                time.sleep(0.005)
            seen = found + len(expected)
            self.keyboard.send_text(keys)


Interview = Callable[[Script], Screen]


@pytest.fixture
def interview(template: Path, tmp_path: Path) -> Interview:
    """Be interviewed; the project is in `tmp_path / "my-api"`."""

    def interview(script: Script) -> Screen:
        screen = Screen()
        with create_pipe_input() as keyboard, create_app_session(input=keyboard, output=screen):
            typist = Typist(screen, keyboard, script)
            typist.start()
            try:
                run_copy(str(template), tmp_path / "my-api", quiet=True, exclude=["/vendor"])
            except KeyboardInterrupt:
                typist.join()
                assert typist.missed is None, f"never asked: {typist.missed}\n{screen.shown[-500:]}"
                raise
            typist.join()
        return screen

    return interview


PROFILE = "Who will call this Worker?"
PROJECT = "What is the project called?"
WORKER = "What is the Worker called at Cloudflare?"
DESCRIPTION = "What does it do, in one line?"
CALLERS = "Which kinds of callers are let in?"
EXPOSURE = "On which address is it reachable?"
HOSTNAME = "What is its hostname?"
ZONE = "Which zone does the route belong to?"
ROUTE = "Which addresses of "
SCOPE = "What does the Access application protect?"
AGENTS = "Which AI agents (MCP clients) may people connect?"
REDIRECTS = "To which addresses do the others redirect?"
PREVIEWS = "Enable preview URLs?"
STAGING = "Add a second environment, staging?"
STAGING_HOST = "What is staging's hostname?"
STAGING_ROUTE = "Which addresses does staging serve?"
STAGING_TAG = "The AUD tag of staging"
MY_EMAIL = "Your e-mail address"
EMAILS = "Which e-mail addresses are let in?"
TOKENS = "Which service tokens are let in?"
TEAM = "Your Zero Trust team name"
TAG = "The AUD tag of the Access application"
LOGIN = "How do people log in?"
SESSION = "After how long do people log in again?"
STYLE = "How do other Workers call it?"
CALLING = "What are the calling Workers called?"
UPSTREAMS = "Which private HTTP services does it call"
LIMIT = "How many requests may each caller make in a minute?"
FRAMEWORK = "How do you want to write the API?"
CI = "Where do tests and deploys run?"
OPS = "Include the commands"

PERSONAL: Script = [
    (PROFILE, ENTER),
    (PROJECT, CLEAR + "Invoice API" + ENTER),
    (MY_EMAIL, "ann@example.com" + ENTER),
    (TEAM, "acme" + ENTER),
    (TAG, ENTER),
]
PRODUCTION: Script = [
    (PROFILE, DOWN + ENTER),
    (PROJECT, CLEAR + "Invoice API" + ENTER),
    (WORKER, ENTER),
    (HOSTNAME, CLEAR + "invoices.example.net" + ENTER),
    (AGENTS, DOWN + SPACE + DOWN * 3 + SPACE + ENTER),
    (REDIRECTS, "https://agent.example.com/cb" + ENTER),
    (STAGING, "y"),
    (STAGING_HOST, ENTER),
    (EMAILS, "ann@example.com, bob@example.com" + ENTER),
    (TOKENS, CLIENT_IDS[0] + ENTER),
    (TEAM, "acme" + ENTER),
    (TAG, AUD + ENTER),
    (STAGING_TAG, ENTER),
    (UPSTREAMS, "billing" + ENTER),
    (CI, ENTER),
]
INTERNAL: Script = [
    (PROFILE, DOWN * 2 + ENTER),
    (PROJECT, CLEAR + "Invoice API" + ENTER),
    (WORKER, CLEAR + "invoices" + ENTER),
    (STAGING, ENTER),
    (STYLE, ENTER),
    (CALLING, "gateway" + ENTER),
    (UPSTREAMS, ENTER),
    (CI, DOWN + ENTER),
]
# People and programs (already selected) and bindings, on a route: all that has a meaning there.
CUSTOM: Script = [
    (PROFILE, DOWN * 3 + ENTER),
    (PROJECT, CLEAR + "Invoice API" + ENTER),
    (WORKER, ENTER),
    (DESCRIPTION, ENTER),
    (CALLERS, DOWN * 2 + SPACE + ENTER),
    (EXPOSURE, DOWN * 2 + ENTER),
    (ZONE, CLEAR + "example.net" + ENTER),
    (ROUTE + "example.net", ENTER),
    (SCOPE, DOWN + ENTER),
    (PREVIEWS, "y"),
    (STAGING, "y"),
    (STAGING_ROUTE, ENTER),
    (EMAILS, ENTER),
    (TOKENS, ENTER),
    (TEAM, ENTER),
    (TAG, ENTER),
    (STAGING_TAG, ENTER),
    (LOGIN, DOWN + ENTER),
    (SESSION, ENTER),
    (STYLE, DOWN * 2 + ENTER),
    (CALLING, ENTER),
    (UPSTREAMS, ENTER),
    (LIMIT, CLEAR + "300" + ENTER),
    (FRAMEWORK, DOWN + ENTER),
    (CI, ENTER),
    (OPS, "n"),
]


def asked(script: Script) -> list[str]:
    return [question for question, _ in script]


def order_on(screen: Screen, script: Script) -> None:
    """Exactly these questions, in exactly this order."""
    marks = [mark.start() for mark in re.finditer("🎤", screen.shown)]
    seen: list[str] = []
    for start, end in zip(marks, [*marks[1:], None], strict=True):
        block = screen.shown[start:end]
        title = next((name for name in asked(script) if name in block), None)
        assert title is not None, f"not in the script: {block[:200]!r}"
        if title not in seen[-1:]:
            seen.append(title)
    assert seen == asked(script)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(
            PERSONAL,
            {
                "profile": "personal",
                "project_name": "Invoice API",
                "worker_name": "invoice-api",
                "callers": ["human"],
                "exposure": "workers_dev",
                "allowed_emails": "ann@example.com",
                "team_domain": "acme",
                "policy_aud": "",
                "ci": "none",
            },
            id="personal",
        ),
        pytest.param(
            PRODUCTION,
            {
                "profile": "production",
                "worker_name": "invoice-api",
                "callers": ["human", "machine"],
                "exposure": "custom_domain",
                "hostname": "invoices.example.net",
                "agents": ["claude", "other"],
                "agent_redirect_uris": "https://agent.example.com/cb",
                "allowed_emails": "ann@example.com, bob@example.com",
                "policy_aud": AUD,
                "upstreams": "billing",
                "ci": "github",
            },
            id="production",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            INTERNAL,
            {
                "profile": "internal",
                "worker_name": "invoices",
                "callers": ["binding"],
                "exposure": "none",
                "binding_style": "rpc",
                "calling_workers": "gateway",
                "ci": "gitlab",
            },
            id="internal",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            CUSTOM,
            {
                "profile": "custom",
                "callers": ["human", "machine", "binding"],
                "exposure": "route",
                "zone_name": "example.net",
                "route_pattern": "api.example.net/*",
                "access_scope": "worker",
                "preview_urls": True,
                "identity_provider": "cloudflare",
                "session_duration": "24h",
                "binding_style": "both",
                "requests_per_minute": "300",
                "framework": "fastapi",
                "ops": False,
            },
            id="custom",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_questions_of_a_profile(
    interview: Interview, tmp_path: Path, script: Script, expected: dict[str, Any]
) -> None:
    """Which questions appear, in which order, and that the answers arrive."""
    screen = interview(script)
    order_on(screen, script)
    stored = yaml.safe_load((tmp_path / "my-api" / ".copier-answers.yml").read_text())
    assert {name: stored[name] for name in expected} == expected
    config = read_jsonc(tmp_path / "my-api" / "wrangler.jsonc")
    assert config["name"] == expected.get("worker_name", "invoice-api")


def test_most_people_answer_five_questions() -> None:
    """A personal project is a matter of a minute."""
    assert len(PERSONAL) <= 5


@pytest.mark.slow
def test_a_title_without_latin_letters_is_asked_for_a_name(interview: Interview) -> None:
    """Nothing can be derived from it, so even `personal` asks what the Worker is called."""
    script = [*PERSONAL]
    script[1] = (PROJECT, CLEAR + "請求書" + ENTER)
    script.insert(2, (WORKER, CLEAR + "seikyusho" + ENTER))
    order_on(interview(script), script)


# A question that is reached, a wrong answer, and the right one that follows it.
CORRECTIONS: list[tuple[Script, str, str, str]] = [
    (PERSONAL, "project_name", " ", "Invoice API"),
    (PERSONAL, "allowed_emails", "ann", "ann@example.com"),
    (PERSONAL, "team_domain", "https://acme.example.com", "acme"),
    (PERSONAL, "policy_aud", "123", AUD),
    (PRODUCTION, "worker_name", "Invoice_API", "invoice-api"),
    (PRODUCTION, "hostname", "https://x.example.com/", "invoices.example.net"),
    (PRODUCTION, "agent_redirect_uris", "https://x.example.com/*", "https://x.example.com/cb"),
    (PRODUCTION, "allowed_service_tokens", "cfast_secret", CLIENT_IDS[0]),
    (INTERNAL, "calling_workers", "invoices", "gateway"),
    (INTERNAL, "upstreams", "Billing!", "billing"),
    (CUSTOM, "description", "", "Invoices"),
    (CUSTOM, "requests_per_minute", "many", "60"),
    (CUSTOM, "route_pattern", "api.example.net", "api.example.net/*"),
    (CUSTOM, "zone_name", "com", "example.net"),
    (CUSTOM, "staging_route_pattern", "api.example.net/*", "dev.example.net/*"),
    (CUSTOM, "staging_policy_aud", "123", AUD),
    (PRODUCTION, "staging_hostname", "invoices.example.net", "dev.example.net"),
]
TITLES = {
    "project_name": PROJECT,
    "worker_name": WORKER,
    "description": DESCRIPTION,
    "allowed_emails": MY_EMAIL,
    "team_domain": TEAM,
    "policy_aud": TAG,
    "hostname": HOSTNAME,
    "agent_redirect_uris": REDIRECTS,
    "allowed_service_tokens": TOKENS,
    "calling_workers": CALLING,
    "upstreams": UPSTREAMS,
    "requests_per_minute": LIMIT,
    "route_pattern": ROUTE + "example.net",
    "staging_hostname": STAGING_HOST,
    "staging_route_pattern": STAGING_ROUTE,
    "staging_policy_aud": STAGING_TAG,
    "zone_name": ZONE,
}


@pytest.mark.parametrize(
    ("script", "question", "wrong", "right"),
    [
        pytest.param(*row, id=row[1], marks=[pytest.mark.slow] if row[1] != "hostname" else [])
        for row in CORRECTIONS
    ],
)
def test_wrong_answer_is_explained_and_can_be_corrected(
    interview: Interview, tmp_path: Path, script: Script, question: str, wrong: str, right: str
) -> None:
    """The validator's line appears under the prompt; the next answer is taken."""
    title = TITLES[question]
    place = asked(script).index(title)
    own = "invoices" if script is INTERNAL else "invoice-api"
    message = complaint(
        question,
        wrong,
        worker_name=own,
        zone_name="example.net",
        hostname="invoices.example.net",
        route_pattern="api.example.net/*",
        policy_aud="",
        agents=[],
    )
    assert message
    corrected = [
        *script[:place],
        (title, CLEAR + wrong + ENTER),
        (message, CLEAR + right + ENTER),
        *script[place + 1 :],
    ]
    interview(corrected)
    stored = yaml.safe_load((tmp_path / "my-api" / ".copier-answers.yml").read_text())
    assert stored[question] == right


def test_every_free_text_question_is_corrected_once() -> None:
    assert {row[1] for row in CORRECTIONS} == set(FREE_TEXT)


@pytest.mark.slow
def test_nobody_cannot_be_chosen(interview: Interview, tmp_path: Path) -> None:
    """People and programs are selected beforehand; deselecting both is refused."""
    message = complaint("callers", [])
    script = [
        *CUSTOM[:4],
        (CALLERS, SPACE + DOWN + SPACE + ENTER),
        (message, DOWN + SPACE + ENTER),
        (STAGING, ENTER),
        (STYLE, ENTER),
        (CALLING, ENTER),
        (UPSTREAMS, ENTER),
        (LIMIT, ENTER),
        (CI, ENTER),
        (OPS, ENTER),
    ]
    interview(script)
    stored = yaml.safe_load((tmp_path / "my-api" / ".copier-answers.yml").read_text())
    assert stored["callers"] == ["binding"] and stored["exposure"] == "none"


@pytest.mark.parametrize(
    "place", [*(pytest.param(n, marks=pytest.mark.slow) for n in range(len(PERSONAL) - 1)), 4]
)
def test_interrupt_leaves_nothing(interview: Interview, tmp_path: Path, place: int) -> None:
    """Ctrl-C at any question: no folder, and what was answered is not lost to a half project."""
    script = [*PERSONAL[:place], (PERSONAL[place][0], INTERRUPT)]
    with pytest.raises(KeyboardInterrupt):
        interview(script)
    assert not (tmp_path / "my-api").exists()


def test_decisive_question_comes_first() -> None:
    assert next(iter(QUESTIONS)) == "profile"


def test_every_question_has_help() -> None:
    """Each is a question or says what is wanted, in one or two lines."""
    for name in QUESTIONS:
        text = QUESTIONS[name]["help"]
        assert 15 <= len(text) <= 300 and text.count("\n") <= 1, name


EXAMPLE = "for example "


@pytest.mark.parametrize("name", FREE_TEXT)
def test_free_text_has_placeholder_and_validator(name: str) -> None:
    """The placeholder is one line, and where it is an example, a good answer."""
    for profile in PARAMETERS["profile"]:
        context = {
            "profile": profile,
            "zone_name": "example.com",
            "worker_name": "my-api",
            "hostname": "api.example.com",
            "route_pattern": "api.example.com/v1/*",
            "policy_aud": "",
            "upstreams": "",
            "agents": [],
        }
        placeholder = fill(QUESTIONS[name]["placeholder"], context)
        assert placeholder and "\n" not in placeholder
        if name.endswith("policy_aud"):
            continue  # says what it looks like, because an example would be taken
        # Without colours a bare example would look like an answer that Enter takes.
        assert placeholder.startswith(EXAMPLE)
        assert complaint(name, placeholder.removeprefix(EXAMPLE), **context) == ""
    assert QUESTIONS[name]["validator"]


def test_nothing_is_computed_as_an_answer() -> None:
    """Every name can be asked for and has a type: what follows is computed in shape.jinja."""
    for name, question in QUESTIONS.items():
        assert question["help"] and question["type"] in ("str", "bool"), name
        assert question.get("when") is not False, name


def test_choices_are_strings() -> None:
    """YAML 1.1 would turn an unquoted yes, on or 1.10 into something else."""
    for name in QUESTIONS:
        choices = QUESTIONS[name].get("choices")
        if isinstance(choices, dict):
            values = [*choices, *choices.values()]
        elif choices:
            bare = re.sub(r"\{%.*?%\}", "", choices)
            loaded = yaml.safe_load(bare)
            values = [*loaded, *loaded.values()]
        else:
            continue
        assert all(isinstance(value, str) for value in values), name


def test_no_question_has_a_name_that_yaml_changes() -> None:
    assert all(isinstance(name, str) for name in QUESTIONS)
