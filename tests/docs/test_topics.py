"""Issue 7, documentation: every topic has its place, and what the pages name and claim is so.

Names are looked up in rendered projects and in copier.yml, numbers in the guard's constants. The
commands that change an answer are run. Links between pages: test_repository.py and test_docs.py.
"""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import shapes
from commands import copier, words
from conftest import FOLDER, ROOT, Render, tracked_files
from files import anchors, links, markdown
from questions import ASKED, QUESTIONS, offered
from ops_run import ops
from updates import assert_no_conflict, commit

# The prose of issue 7. The pages beside it (updates.md and the like) have tests of their own.
FOLDERS = ("tutorial", "how-to", "explanation")
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(
        [
            DOCS / "index.md",
            DOCS / "troubleshooting.md",
            *(path for folder in FOLDERS for path in (DOCS / folder).glob("*.md")),
        ]
    )
}
LONGEST = 130  # lines of a page

# The base guide's topics, as issue 7 lists them.
TOPICS = (
    "what private means",
    "the four ways in",
    "preview URLs",
    "e-mail only",
    "service tokens",
    "service bindings and RPC",
    "cloudflared as client versus Tunnel",
    "Workers VPC",
    "checklist: minimum",
    "checklist: better",
    "checklist: automation",
    "checklist: Worker-to-Worker",
    "checklist: upstreams",
    "example configurations",
    "troubleshooting",
    "recommended stacks",
)

# ---------------------------------------------------------------- reading


def spans(text: str) -> list[str]:
    """What stands between backticks in a sentence or a table."""
    return [token.content for token in markdown(text) if token.type == "code_inline"]


def blocks(text: str, language: str) -> list[str]:
    """Each fenced block of a language, also inside a list."""
    fences = [token for token in markdown(text) if token.type == "fence"]
    return [token.content for token in fences if token.info == language]


def lines(text: str) -> list[str]:
    """Each command of the shell blocks, in one line."""
    joined = "\n".join(blocks(text, "sh")).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip()]


def of_pages(find: Any, *arguments: str) -> Iterator[tuple[str, Any]]:
    """Page and finding, for all pages."""
    for name, text in PAGES.items():
        for found in find(text, *arguments):
            yield name, found


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


# ---------------------------------------------------------------- pages and topics


def test_every_topic_has_its_place() -> None:
    """The table in index.md: each topic, in this order, with links to pages and headings."""
    table = PAGES["index.md"].split("\n## By topic\n")[1]
    rows = re.findall(r"^\| ([^|]+) \| (.+) \|$", table, re.MULTILINE)[1:]
    assert [topic for topic, _ in rows] == list(TOPICS)
    for topic, place in rows:
        assert links(place), topic
        for link in links(place):
            path, _, anchor = link.partition("#")
            target = DOCS / path
            assert target.is_file(), f"{topic}: {link}"
            assert not anchor or anchor in anchors(target.read_text("utf-8")), f"{topic}: {link}"


def test_every_page_is_found_from_the_first() -> None:
    """And a page answers one question: one title, not too long."""
    listed = {link.partition("#")[0] for link in links(PAGES["index.md"])}
    for name, text in PAGES.items():
        assert name == "index.md" or name in listed, f"{name}: index.md does not lead there"
        assert len(re.findall(r"^# ", re.sub(r"```.*?```", "", text, flags=re.S), re.M)) == 1, name
        assert text.count("\n") <= LONGEST, name


def test_plain_words() -> None:
    """No dash that joins two sentences, no sentence of a page that was not finished."""
    for name, text in PAGES.items():
        assert "\u2014" not in text and "\u2013" not in text, name
        assert not re.search(r"\b(TODO|TBD|FIXME|XXX)\b", text), name


# ---------------------------------------------------------------- names

# Names of Cloudflare's and of other programs that no file of ours has.
ELSEWHERE = {
    "522",
    "/admin",
    "/admin/x",
    "/api",
    "/api/",
    "/health",
    "1a2b3c4d-my-api.<your-subdomain>.workers.dev",
    "<8 digits of the version>-<worker>.<your-subdomain>.workers.dev",
    "<preview>-<worker>.<your-subdomain>.workers.dev",
    "http://10.0.1.50:8080",
    "CLOUDFLARE_ACCESS_CLIENT_ID",
    "CLOUDFLARE_ACCESS_CLIENT_SECRET",
    "Referer",
    "access.api.error.not_enabled",
    "cloudflared tunnel run",
    "dns_error",
    "www.example.com/api/",
    "www.example.com/api/*",
    "www.example.com",
    "wrangler dev --remote",
    ".dev.vars.staging",
}
FOUND_BY_CHECK = re.compile(r"`npm run check`: (`[\w-]+`(?:, `[\w-]+`)*)")
LOCAL = "http://127.0.0.1:8788"
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]+")
SHAPES = ("production", "internal-rpc", "everybody", "hostname-application", "people-with-previews")


@pytest.fixture(scope="session")
def projects(rendered: Render) -> dict[str, Path]:
    """Some projects that have together every file that a page may name."""
    found = {name: rendered(**shapes.answers(shapes.of_interest()[name])) for name in SHAPES}
    found["empty"] = rendered(
        profile="custom", callers=["human", "machine"], exposure="workers_dev"
    )
    return found


@pytest.fixture(scope="session")
def files(projects: dict[str, Path]) -> dict[str, str]:
    """Path in a project to its text; of several projects, all texts behind each other."""
    found: dict[str, str] = {}
    for project in projects.values():
        for path in sorted(project.rglob("*")):
            if path.is_file():
                name = path.relative_to(project).as_posix()
                found[name] = found.get(name, "") + path.read_text(encoding="utf-8")
    return found


@pytest.fixture(scope="session")
def scripts(projects: dict[str, Path]) -> set[str]:
    texts = [(project / "package.json").read_text("utf-8") for project in projects.values()]
    return {name for text in texts for name in json.loads(text)["scripts"]}


@pytest.fixture(scope="session")
def options(projects: dict[str, Path]) -> dict[str, set[str]]:
    """The options of each command in ops/, from its own help."""
    project, found = projects["production"], {}
    for command in ("check", "provision", "probe", "local"):
        done = ops(project, command, "--help")
        assert done.returncode == 0, done.stderr
        found[command] = set(OPTION.findall(done.stdout))
    return found


def test_names_in_backticks(files: dict[str, str]) -> None:
    """A variable, path, code, key or value that no rendered file has any more is out of date."""
    here = [Path(name).name for name in tracked_files() if name.startswith("tests/")]
    questions = (ROOT / "copier.yml").read_text(encoding="utf-8")
    known = joined("\n".join([*files, *files.values(), *here, questions]))
    unknown = [
        f"{name}: {span}"
        for name, span in of_pages(spans)
        if span not in ELSEWHERE
        and not is_checked_elsewhere(span)
        and joined(span).removeprefix(LOCAL) not in known
    ]
    assert not unknown, "nothing has this:\n" + "\n".join(unknown)


def joined(text: str) -> str:
    """Without the ends of lines, which a page may set elsewhere."""
    return re.sub(r"\s+", " ", text)


def is_checked_elsewhere(span: str) -> bool:
    """Commands, answers and addresses of the examples have checks of their own below."""
    return bool(
        re.match(r"((npm|npx|uv|uvx|sh|curl|cp|cloudflared access|read) |test_)", span)
        or re.fullmatch(r"(\w+=[\w\[\], ]+|[\w.+-]+@example\.com|(\w+\.)?example\.com)", span)
        or re.fullmatch(r"(ann|bob)@example\.com, .*|--.*", span)
    )


def test_spans_that_only_others_have_are_in_use() -> None:
    assert {span for _, span in of_pages(spans)} >= ELSEWHERE


def test_npm_scripts(scripts: set[str], options: dict[str, set[str]]) -> None:
    """Each script exists, and each option behind `--` is one of its command."""
    seen = set()
    for name, text in [*of_pages(spans), *of_pages(lines)]:
        for script, rest in re.findall(r"\bnpm run ([\w:-]+)([^&|;]*)", text):
            assert script in scripts, f"{name}: npm run {script}"
            seen.add(script)
            for option in OPTION.findall(rest.partition(" -- ")[2]):
                known = options.get(script, {"--env"} if script == "dev" else set())
                assert option in known, f"{name}: npm run {script}: {option}"
    assert {"check", "provision", "probe", "local", "dev", "deploy", "deploy:staging"} <= seen


def test_options_alone(options: dict[str, set[str]]) -> None:
    """An option in a sentence belongs to some command of ours, or to Copier."""
    known = {"--data"}.union(*options.values())
    for name, span in of_pages(spans):
        for option in OPTION.findall(span) if span.startswith("--") else ():
            assert option in known, f"{name}: {span}"


def test_answers_that_are_given() -> None:
    """Each `--data name=value`, and each `name=value` in a sentence, could be answered."""
    given = [
        *((name, word) for name, line in of_pages(lines) for word in data_of(line)),
        *((name, span) for name, span in of_pages(spans) if re.fullmatch(r"[a-z_]+=.*", span)),
    ]
    assert len(given) > 20
    for name, word in given:
        question, _, value = word.partition("=")
        if question in ("methods", "paths", "max_body", "pages", "authorization", "timeout"):
            continue  # arguments of Upstream
        assert question in ASKED, f"{name}: {word}"
        answer = yaml.safe_load(value)
        if "choices" in QUESTIONS[question]:
            possible = every_choice(question)
            chosen = answer if isinstance(answer, list) else [answer]
            assert set(map(str, chosen)) <= possible, f"{name}: {word}"
        elif QUESTIONS[question]["type"] == "bool":
            assert isinstance(answer, bool), f"{name}: {word}"


def data_of(line: str) -> list[str]:
    """What `--data` gives in a command."""
    found = shlex.split(line) if "copier" in line else []
    return [word for before, word in zip(found, found[1:], strict=False) if before == "--data"]


@cache
def every_choice(question: str) -> set[str]:
    """Every value that some shape offers."""
    return {
        str(value)
        for profile in shapes.PARAMETERS["profile"]
        for callers in shapes.PARAMETERS["callers"]
        for value in offered(question, profile=profile, callers=list(callers))
    }


def test_questions_of_the_tutorials() -> None:
    """Their tables name questions, and a personal project has no others to answer."""
    asked = {}
    for page in ("tutorial/personal.md", "tutorial/production.md"):
        rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGES[page], re.MULTILINE)
        asked[page] = [name for row in rows for name in re.findall(r"\w+", row)]
        assert asked[page] and set(asked[page]) <= set(ASKED), page
    assert len(asked["tutorial/personal.md"]) == 5


def test_rules_of_check(files: dict[str, str]) -> None:
    """What a page says that `check` finds is one of its rules."""
    text = files["ops/finding.py"]
    rules = set(re.findall(r'^    "([a-z-]+)": "', text, re.MULTILINE))
    named = [
        (name, rule)
        for name, group in of_pages(
            re.compile(r"`npm run check`: (`[\w-]+`(?:, `[\w-]+`)*)").findall
        )
        for rule in re.findall(r"`([\w-]+)`", group)
    ]
    assert len(named) > 10
    for name, rule in named:
        assert rule in rules, f"{name}: check has no rule {rule}"


def test_results_of_probe(files: dict[str, str]) -> None:
    """The table names each verdict that a reader can see, and no other."""
    table = PAGES["how-to/look-from-outside.md"].split("\n## Probe\n")[1]
    named = {row.lower() for row in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)}
    found = re.search(r"^VERDICTS = (\(.*\))$", files["ops/verdicts.py"], re.MULTILINE)
    assert found
    assert named == set(ast.literal_eval(found[1])) - {"https"}


def test_reason_codes(files: dict[str, str]) -> None:
    """The first column of the guard's table, and each code in a how-to, is one that it logs."""
    refusal, log = files["src/guard/refusal.py"], files["src/guard/log.py"]
    codes = set(re.findall(r'^    [A-Z_]+ = "(\w+)"', refusal, re.MULTILINE))
    codes |= set(re.findall(r'_line\("\w+", "(\w+)"', log))
    table = PAGES["troubleshooting.md"].split("\n## The guard refuses a token of Access\n")[1]
    named = re.findall(r"^\| `(\w+)` \|", table.split("\n## ")[0], re.MULTILINE)
    assert len(named) > 5 and set(named) <= codes


def test_named_tests_exist(files: dict[str, str]) -> None:
    """`test_x.py`: `test_a`, `test_b`. In a rendered project, or here."""
    sources = {Path(name).name: text for name, text in files.items()}
    for name in tracked_files():
        if re.match(r"tests/(in_project/)?test_\w+\.py", name):
            sources.setdefault(Path(name).name, "")
            sources[Path(name).name] += (ROOT / name).read_text(encoding="utf-8")
    count = 0
    for name, text in PAGES.items():
        for file, group in re.findall(r"`(test_\w+\.py)`((?:[:,]\s`test_\w+`)*)", text):
            assert file in sources, f"{name}: there is no {file}"
            for function in re.findall(r"`(test_\w+)`", group):
                assert f"def {function}(" in sources[file], f"{name}: {file} has no {function}"
                count += 1
        loose = re.sub(r"`test_\w+\.py`(?:[:,]\s`test_\w+`)*", "", text)
        assert not re.search(r"`test_\w+`", loose), f"{name}: a test without its file"
    assert count > 30


def test_decisions_and_cases() -> None:
    """A number of a decision, or the id of a case, that a page names is there."""
    decisions = (DOCS / "decisions.md").read_text(encoding="utf-8")
    cases = (DOCS / "public-cases.md").read_text(encoding="utf-8")
    count = 0
    for name, text in PAGES.items():
        for number in re.findall(r"\b[Dd]ecision (\d+)\b", text):
            assert re.search(rf"^{number}\. ", decisions, re.MULTILINE), f"{name}: {number}"
            count += 1
        for case in re.findall(r"\b[JHPWU]\d+\b", prose(text)):
            assert f"| {case} |" in cases, f"{name}: {case}"
            count += 1
    assert count > 4


# ---------------------------------------------------------------- numbers

Constants = dict[str, dict[str, Any]]
UNIT = r"(?:seconds?|minutes?|hours?|days?|weeks?|KiB|MiB|bits|levels|tokens)"
MINUTE, HOUR, KIB = 60, 60 * 60, 1024

# Number and unit as they stand in a page, to what they have to equal.
CLAIMS: dict[str, list[tuple[str, str, float]]] = {
    "1 hour": [("keys", "FRESH", HOUR)],
    "24 hours": [("keys", "KEPT", 24 * HOUR)],
    "30 seconds": [
        ("keys", "COOLDOWN", 30),
        ("token", "LEEWAY", 30),
    ],
    "5 seconds": [("keys", "TIMEOUT", 5)],
    "64 KiB": [("keys", "MAX_BODY", 64 * KIB)],
    "8192 bits": [("keys", "MAX_BITS", 8192), ("keys", "MIN_BITS", 2048)],
    "5 minutes": [("gate", "KNOWN_FOR", 5 * MINUTE)],
    "512 tokens": [("gate", "MAX_KNOWN", 512)],
    "16 KiB": [("token", "MAX_TOKEN", 16 * KIB)],
    "2 KiB": [("token", "MAX_HEADER", 2 * KIB)],
    "32 levels": [("strictjson", "MAX_NESTING", 32)],
    "1 MiB": [("body", "MAX_BODY", KIB * KIB)],
}
# Cloudflare's, from its page on Access's keys.
CLOUDFLARE = {"6 weeks", "7 days"}


@pytest.fixture(scope="session")
def constants(projects: dict[str, Path]) -> Constants:
    """Each module's numbers in capitals, from the source that is rendered."""
    found: Constants = {}
    for path in (projects["production"] / "src" / "guard").glob("*.py"):
        found[path.stem] = {}
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign):
                found[path.stem] |= numbers(node)
    return found


def numbers(node: ast.Assign) -> dict[str, float]:
    """`A = 60 * 60` and `A, B = 1, 2`."""
    names = [name.id for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name)]
    inside = {type(part) for part in ast.walk(node.value)}
    if not inside <= {ast.BinOp, ast.Mult, ast.Constant, ast.Tuple, ast.Load}:
        return {}
    value = eval(compile(ast.Expression(node.value), "constant", "eval"))
    values = value if isinstance(value, tuple) else (value,)
    pairs = zip(names, values, strict=False)
    return {name: each for name, each in pairs if isinstance(each, int | float)}


def test_numbers_are_the_guards(constants: Constants) -> None:
    """Every duration and size in a page is known here, and equal to the constant."""
    seen = set()
    for name, text in PAGES.items():
        for claim in re.findall(rf"\b\d+\s{UNIT}\b", prose(text)):
            claim = re.sub(r"\s", " ", claim)
            assert claim in CLAIMS or claim in CLOUDFLARE, f"{name}: where does {claim} come from?"
            seen.add(claim)
    assert seen == {*CLAIMS, *CLOUDFLARE}
    for claim, rows in CLAIMS.items():
        for module, constant, value in rows:
            assert constants[module][constant] == value, f"{claim}: {module}.{constant}"


def test_table_of_key_rotation(constants: Constants) -> None:
    """A row for each number in keys.py that says how long or how much."""
    text = PAGES["explanation/key-rotation.md"]
    rows = re.findall(r"^\| .+ \| (\d+)(?: (\w+))? \| `([A-Z_]+)` \|$", text, re.MULTILINE)
    factor = {"hour": HOUR, "hours": HOUR, "seconds": 1, "KiB": KIB, "": 1}
    named = {constant: int(number) * factor[unit] for number, unit, constant in rows}
    there = {name: value for name, value in constants["keys"].items() if "BITS" not in name}
    assert named == there


def test_range_of_keys() -> None:
    """Wherever the sizes of keys stand, both ends do."""
    for name, text in PAGES.items():
        for claim in re.findall(r".{8}\b8192 bits", text):
            assert claim == "2048 to 8192 bits", name


# ---------------------------------------------------------------- corrections

# What the base guide has and what is no longer so, or never was (facts of November 2026).
CORRECTED = {
    r"-app=(?<!--app=)": "two dashes: --app=",
    r"createRemoteJWKSet|from ['\"]jose['\"]|npm install jose": "the guard is Python, on WebCrypto",
    r"cf-access-token: (<|\$)?CF_AUTHORIZATION": "strict accounts take no cookie from programs",
    r"\bALLOWED_EMAIL\b|\bALLOWED_USERS\b|\bALLOWED_CLIENT_IDS\b": "the names in the contract",
    r"\bACCESS_AUD\b|\bACCESS_TEAM_DOMAIN\b": "POLICY_AUD and TEAM_DOMAIN",
    r"Enable Cloudflare Access": "the Access tab of the Worker",
    r"cloudflared service install <": "the dashboard shows the command, with a token file",
    r"2026-03-22": "a compatibility date that has Python 3.14",
    r"src/index\.ts": "src/entry.py",
    r"\bnpx wrangler (deploy|dev)\b|\bwrangler publish\b": "npm run deploy and npm run dev",
    r"Settings.{1,9}Authentication": "Integrations > Identity providers",
    r"Access > Service Auth": "Access controls > Service credentials",
}


@pytest.mark.parametrize("wrong", CORRECTED)
def test_corrected_facts(wrong: str) -> None:
    for name, text in PAGES.items():
        found = re.search(wrong, text)
        assert not found, f"{name}: {found and found[0]!r}: {CORRECTED[wrong]}"


@pytest.mark.parametrize(
    "line",
    [
        "cloudflared access token -app=https://my-api.example.com",
        "npm install jose",
        'curl -H "cf-access-token: <CF_AUTHORIZATION_COOKIE_VALUE>"',
        "click **Enable Cloudflare Access**",
        '"compatibility_date": "2026-03-22"',
        "npx wrangler deploy",
    ],
)
def test_what_was_wrong_is_recognised(line: str) -> None:
    """So that the test above means something."""
    assert any(re.search(wrong, line) for wrong in CORRECTED)


def test_configurations_in_the_pages() -> None:
    """Private services by `vpc_services`, Workers with entrypoint and name; all of it is JSON."""
    seen: set[str] = set()
    for name, block in of_pages(blocks, "json"):
        data = json.loads(block)
        for item in data.get("vpc_services", ()):
            assert set(item) == {"binding", "service_id", "remote"} and item["remote"] is True, name
            seen.add("vpc_services")
        for item in data.get("services", ()):
            assert item["entrypoint"] == "Internal" and item["props"]["caller"], name
            seen.add("services")
        for variable in data.get("vars", ()):
            assert re.fullmatch(r"TEAM_DOMAIN|POLICY_AUD|ALLOWED_[A-Z_]+", variable), name
    assert seen == {"vpc_services", "services"}


# ---------------------------------------------------------------- commands that are run


def changes() -> list[Any]:
    """Every `copier update` of the pages, each once."""
    return [
        pytest.param(line, id=f"{name}: {' '.join(data_of(line)) or 'as asked'}")
        for name, line in dict.fromkeys(of_pages(lines))
        if re.match(r"uvx copier update .*--data", line)
    ]


def stored(project: Path) -> dict[str, Any]:
    text = (project / ".copier-answers.yml").read_text(encoding="utf-8")
    answers: dict[str, Any] = yaml.safe_load(text)
    return answers


# What a page says the reader starts from, where it is not the personal project as rendered.
STARTS: dict[str, dict[str, Any]] = {
    "exposure=custom_domain": {"profile": "custom", "callers": ["human"]},
    "preview_urls=false": {"profile": "personal", "preview_urls": True},
}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the pages' commands are for a POSIX shell")
@pytest.mark.parametrize("line", changes())
def test_answers_change_as_the_pages_say(
    line: str, rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shell, without trust and without a terminal; afterwards the answers are those given."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "uvx").write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" -m copier "$@"\n')
    (tools / "uvx").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tools), os.environ["PATH"]]))
    given = dict(word.split("=", 1) for word in data_of(line))
    project = tmp_path / FOLDER
    starts = [STARTS[word] for word in data_of(line)[:1] if word in STARTS]
    shutil.copytree(rendered(**(starts[0] if starts else {"profile": "personal"})), project)
    commit(project)
    done = subprocess.run(
        ["bash", "-euc", line],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for question, value in given.items():
        kind = QUESTIONS[question]["type"]
        parsed = yaml.safe_load(value) if kind == "bool" or value.startswith("[") else value
        assert stored(project)[question] == parsed, question
    assert_no_conflict(project)


def test_next_commands_are_copiers(template: Path, tmp_path: Path) -> None:
    """The first tutorial's commands after the copy are those of Copier's message."""
    done = copier("copy", "--defaults", str(template), FOLDER, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    said = words(done.stderr)
    start = PAGES["tutorial/personal.md"].split("\n## Test and commit it\n")[1]
    for command in blocks(start, "sh")[0].splitlines():
        assert command in said, command


def test_findings_of_the_tutorial(rendered: Render) -> None:
    """The second tutorial's command without questions gives what it shows `check` to say."""
    page = PAGES["tutorial/production.md"]
    line = next(line for line in lines(page) if "--defaults" in line)
    given = dict(word.split("=", 1) for word in data_of(line))
    done = ops(rendered(**given), "check", env={"COLUMNS": "80"})
    said = [line.rstrip() for line in done.stdout.splitlines()]
    (block,) = blocks(page, "text")
    assert block.strip().splitlines() == said[: len(block.strip().splitlines())]
    assert sum("placeholder" in line and "wrangler.jsonc" in line for line in said) == 3
