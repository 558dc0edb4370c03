"""Answers that people type: refused by one sentence, or back again exactly from every file."""

import json
import re
import subprocess
import tomllib
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Render
from files import headings, markdown, read_jsonc, texts
from questions import FREE_TEXT, QUESTIONS, answered, complaint, fill, shape
from samples import BAD, CONTEXT, GOOD, HOSTILE
from shapes import AUD, CLIENT_IDS, SERVICE_ID

# The questions that take any text of one line. All others take names of a known form.
PROSE = ("project_name", "description")
ACCEPTED = [
    label
    for label, text in HOSTILE.items()
    if not complaint("project_name", text) and not complaint("description", text)
]


def all_questions() -> dict[str, Any]:
    """A shape in which every free-text question has a meaning, but for zone and route."""
    return {
        "profile": "custom",
        "callers": ["human", "machine", "binding"],
        "exposure": "custom_domain",
        "binding_style": "both",
        "worker_name": "my-api",
        "upstreams": "billing",
        "ci": "github",
        "staging": True,
        "agents": ["other"],
    }


# Too long for a line of 80 columns, where the interview cuts it off. The help above says the same.
LONG = {
    ("staging_policy_aud", "An AUD tag is 64 hexadecimal digits."): "64 hexadecimal digits",
    (
        "allowed_service_tokens",
        "A Client ID is 32 hexadecimal digits and .access.",
    ): "32 hexadecimal digits and .access",
    ("staging_route_pattern", "Use the same path as production."): "the same path as production",
    ("staging_route_pattern", "Use the form hostname/path/*."): "Type hostname/path/*",
}


def is_our_line(question: str, message: str) -> bool:
    """One sentence. It fits on a terminal's line of 80 columns with what Copier puts before it, or
    the question's help says the same."""
    shown = f"Validation error for question '{question}': {message}"
    sentence = re.fullmatch(r"[A-Z][ -~]*\w[ -~]*\.", message) is not None
    return sentence and (len(shown) <= 80 or (question, message) in LONG)


def test_what_is_cut_off_is_in_the_help() -> None:
    for (question, message), same in LONG.items():
        assert len(f"Validation error for question '{question}': {message}") > 80
        help_text = fill(QUESTIONS[question]["help"], {**CONTEXT, "callers": ["human"]})
        assert same in " ".join(help_text.split())


@pytest.mark.parametrize("question", FREE_TEXT)
def test_accepted_or_refused_by_one_line(question: str) -> None:
    """The message says what to do, and does not repeat the answer's junk."""
    for label, text in HOSTILE.items():
        message = complaint(question, text, **CONTEXT)
        assert message == "" or is_our_line(question, message), (label, message)


def test_prose_takes_what_fits_on_a_line() -> None:
    """Quotes, braces, emoji and other scripts are normal in a title."""
    assert len(ACCEPTED) >= 35
    refused = {label for label in HOSTILE if label not in ACCEPTED}
    assert {"line feed", "nul", "delete", "next line", "line separator", "blank"} <= refused
    assert {"right-to-left override", "lone surrogate", "very long"} <= refused


@pytest.mark.parametrize("question", [name for name in FREE_TEXT if name not in PROSE])
def test_names_take_nothing_that_needs_quoting(question: str) -> None:
    """What is accepted needs no escaping anywhere, whatever it is rendered into."""
    for label, text in HOSTILE.items():
        if not complaint(question, text, **CONTEXT):
            assert not set(text) & set("\"'\\{}$`<>|;&#"), (label, text)


@pytest.mark.parametrize("question", FREE_TEXT)
def test_good_and_bad_answers(question: str) -> None:
    for answer in GOOD[question]:
        assert complaint(question, answer, **CONTEXT) == "", answer
    for answer in BAD[question]:
        assert is_our_line(question, complaint(question, answer, **CONTEXT)), answer


def test_every_free_text_question_is_here() -> None:
    assert set(GOOD) == set(BAD) == set(FREE_TEXT)


def test_the_limit_and_an_upstream_of_its_name() -> None:
    """Both would be the binding RATE_LIMIT. Without a limit the upstream is as good as any."""
    for upstreams in ("rate-limit", "billing, rate-limit", f" rate-limit={SERVICE_ID},b"):
        message = complaint("requests_per_minute", "60", upstreams=upstreams)
        assert is_our_line("requests_per_minute", message)
        assert complaint("requests_per_minute", "0", upstreams=upstreams) == ""
    assert complaint("requests_per_minute", "60", upstreams="rate-limits, my-rate-limit") == ""


def test_an_upstream_at_the_path_of_the_agents() -> None:
    """Without agents there is nothing there."""
    for upstreams in ("mcp", "billing, mcp", f" mcp={SERVICE_ID},b"):
        message = complaint("upstreams", upstreams, agents=["local"])
        assert is_our_line("upstreams", message)
        assert complaint("upstreams", upstreams, agents=[]) == ""
    assert complaint("upstreams", "mcp-2, my-mcp", agents=["local"]) == ""


@pytest.mark.slow
@pytest.mark.parametrize("question", BAD)
def test_copier_refuses(render: Render, tmp_path: Path, question: str) -> None:
    """The same line from Copier itself; nothing is written, not even the folder."""
    on_a_route = ("zone_name", "route_pattern", "staging_route_pattern")
    exposure = "route" if question in on_a_route else "custom_domain"
    answers = {**all_questions(), "exposure": exposure, question: BAD[question][-1]}
    with pytest.raises(ValueError) as refusal:
        render(tmp_path / "out", **answers)
    message = complaint(question, BAD[question][-1], **CONTEXT)
    assert str(refusal.value) == f"Validation error for question '{question}': {message}"
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def plain(rendered: Render) -> dict[str, str]:
    """The files of a project with harmless answers."""
    return texts(rendered(**all_questions(), project_name="Plain", description="Plain"))


def check_prose(project: Path, name: str, description: str, plain: dict[str, str]) -> None:
    """Name and description, read back from every file that has them; no other file differs."""
    package = json.loads((project / "package.json").read_text(encoding="utf-8"))
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    stored = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert package["description"] == pyproject["project"]["description"] == description
    assert stored["project_name"] == name and stored["description"] == description
    assert headings(readme)[0] == name
    paragraphs = [token for token in markdown(readme) if token.type == "inline"]
    said = ["".join(t.content for t in p.children or []) for p in paragraphs]
    assert description in said
    assert b"\\ud" not in (project / "pyproject.toml").read_bytes().lower()
    now = texts(project)
    assert set(now) == set(plain)
    different = {file for file in now if now[file] != plain[file]}
    expected = {"README.md", "package.json", "pyproject.toml", ".copier-answers.yml"}
    assert different <= expected


def test_prose_of_all_kinds_comes_back(rendered: Render, plain: dict[str, str]) -> None:
    """One project with what breaks most formats."""
    name = """it's "A" \\ {{ 7 * 7 }} {% raw %} <b>*x*</b> `y` 🔐"""
    description = f'{name} # -- // */ ${{{{ x }}}} $(id) [a](b) | é日本語 "]\\'
    assert not complaint("project_name", name) and not complaint("description", description)
    project = rendered(**all_questions(), project_name=name, description=description)
    check_prose(project, name, description, plain)


@pytest.mark.slow
@pytest.mark.parametrize("label", ACCEPTED)
def test_prose_comes_back_exactly(rendered: Render, plain: dict[str, str], label: str) -> None:
    text = HOSTILE[label]
    project = rendered(**all_questions(), project_name=text, description=text)
    check_prose(project, text, text, plain)


@pytest.mark.slow
@settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(name=st.text(min_size=1, max_size=60), description=st.text(min_size=1, max_size=200))
def test_any_prose_comes_back_exactly(
    rendered: Render, plain: dict[str, str], name: str, description: str
) -> None:
    """Whatever the validators let through."""
    name = name if not complaint("project_name", name) else "Plain"
    description = description if not complaint("description", description) else "Plain"
    project = rendered(**all_questions(), project_name=name, description=description)
    check_prose(project, name, description, plain)


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(question=st.sampled_from(FREE_TEXT), text=st.text(max_size=300))
def test_any_text_is_accepted_or_refused_by_one_line(question: str, text: str) -> None:
    message = complaint(question, text, **CONTEXT)
    assert message == "" or is_our_line(question, message)
    if message == "":
        assert len(text.splitlines()) <= 1, text
        assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text.strip())


@pytest.mark.slow
@pytest.mark.parametrize("name", GOOD["worker_name"])
def test_worker_name_comes_back_exactly(rendered: Render, name: str) -> None:
    """The same name in every file, a string also where it looks like something else."""
    project = rendered(profile="custom", worker_name=name)
    assert read_jsonc(project / "wrangler.jsonc")["name"] == name
    assert json.loads((project / "package.json").read_text())["name"] == name
    pyproject = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert pyproject["project"]["name"] == f"{name}-worker"
    stored = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert stored["worker_name"] == name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("My API!!", "my-api"),
        ("x", "x"),
        ("日本語", "private-worker"),
        ("-- 9 Lives --", "9-lives"),
        ("🔐", "private-worker"),
        ("Ünïcödé", "n-c-d"),
        ("a" * 60, "a" * 54),
        ("a" * 53 + "!!" + "b" * 5, "a" * 53),
        ("İstanbul", "i-stanbul"),
    ],
)
def test_name_from_a_title(title: str, name: str) -> None:
    """A derived default passes its own validator, whatever the title."""
    derived = fill(QUESTIONS["worker_name"]["default"], {"project_name": title})
    assert derived == name
    assert complaint("worker_name", derived) == ""


@pytest.mark.slow
def test_lists_come_back_exactly(rendered: Render) -> None:
    """Several of everything, with the spaces people type."""
    project = rendered(
        **{
            **all_questions(),
            "allowed_emails": " ann@example.com ,BOB@Example.org,ünï@bücher.example",
            "allowed_service_tokens": f"{CLIENT_IDS[0]} , {'f' * 32}.access",
            "policy_aud": f"{AUD.upper()} , {'0' * 64}",
            "calling_workers": "gateway ,true,9lives",
            "upstreams": f"a, {'x' * 32} ,class={SERVICE_ID.upper()}, null",
            "hostname": "xn--bcher-kva.example",
        }
    )
    config = read_jsonc(project / "wrangler.jsonc")
    assert config["vars"] == {
        "TEAM_DOMAIN": "REPLACE_WITH_TEAM_DOMAIN",
        "POLICY_AUD": [AUD, "0" * 64],
        "ALLOWED_EMAILS": ["ann@example.com", "BOB@Example.org", "ünï@bücher.example"],
        "ALLOWED_SERVICE_TOKENS": [CLIENT_IDS[0], f"{'f' * 32}.access"],
        "ALLOWED_WORKERS": ["gateway", "true", "9lives"],
    }
    bindings = {service["binding"]: service["service_id"] for service in config["vpc_services"]}
    unknown = "REPLACE_WITH_VPC_SERVICE_ID"
    assert bindings == {"A": unknown, "X" * 32: unknown, "CLASS": SERVICE_ID, "NULL": unknown}
    assert config["routes"][0]["pattern"] == "xn--bcher-kva.example"
    assert (project / "wrangler.jsonc").read_bytes().isascii()
    for command in (["check"], ["format", "--check"]):
        ruff = ["ruff", *command, "--no-cache", str(project)]
        done = subprocess.run(ruff, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_route_comes_back_exactly(rendered: Render) -> None:
    project = rendered(
        profile="custom",
        exposure="route",
        zone_name="xn--bcher-kva.example",
        route_pattern="*.xn--bcher-kva.example/v1.0/~me/*",
    )
    assert read_jsonc(project / "wrangler.jsonc")["routes"] == [
        {
            "pattern": "*.xn--bcher-kva.example/v1.0/~me/*",
            "zone_name": "xn--bcher-kva.example",
        }
    ]


ISSUER = "https://acme.cloudflareaccess.com"
SPELLINGS: dict[str, str | None] = {
    # the bare name, and every spelling that people copy from the dashboard
    "acme": ISSUER,
    "ACME": ISSUER,
    " acme ": ISSUER,
    "acme\n": ISSUER,
    "acme/": ISSUER,
    "acme.cloudflareaccess.com": ISSUER,
    "Acme.CloudflareAccess.com": ISSUER,
    "https://acme.cloudflareaccess.com": ISSUER,
    # slashes at the end
    "https://acme.cloudflareaccess.com/": ISSUER,
    "https://acme.cloudflareaccess.com///": ISSUER,
    # upper case is normalised, a path is refused
    "HTTPS://ACME.cloudflareaccess.com": ISSUER,
    "https://ACME.cloudflareaccess.com/foo": None,
    "https://acme.cloudflareaccess.com/cdn-cgi/access/certs": None,
    "https://acme.cloudflareaccess.com?x=1": None,
    "https://acme.cloudflareaccess.com#x": None,
    "https://acme.cloudflareaccess.com:443": None,
    "https://user@acme.cloudflareaccess.com": None,
    "http://acme.cloudflareaccess.com": None,
    "https://acme.example.com": None,
    "https://acme.cloudflareaccess.com.example.com": None,
    "https://a.b.cloudflareaccess.com": None,
    "cloudflareaccess.com": None,
    "https://cloudflareaccess.com": None,
    "-acme": None,
    "acme-": None,
    "ac me": None,
    "a" * 64: None,
    "\u212aelvin": None,  # lower() would make it kelvin
    "//acme": None,
    "your-team": None,
    "https://your-team.cloudflareaccess.com/": None,
}


def test_team_domain_spelling() -> None:
    """One canonical issuer, or a sentence that says what to do."""
    answers = answered({"profile": "production"})
    for spelling, issuer in SPELLINGS.items():
        message = complaint("team_domain", spelling)
        if issuer is None:
            assert is_our_line("team_domain", message), spelling
        else:
            assert message == "", spelling
            assert shape({**answers, "team_domain": spelling}).team_url == issuer


@pytest.mark.slow
def test_team_domain_in_the_configuration(rendered: Render) -> None:
    project = rendered(profile="production", team_domain=" HTTPS://Acme.cloudflareaccess.com// ")
    assert read_jsonc(project / "wrangler.jsonc")["vars"]["TEAM_DOMAIN"] == ISSUER
