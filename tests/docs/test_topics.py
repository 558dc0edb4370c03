"""Every topic has its place, and what the pages name and claim is so.

Names are looked up in the rules and codes that they name, numbers in the guard's constants. Links:
test_docs.py and test_repository.py; commands: test_documented_commands.py.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from conftest import ROOT, tracked_files
from files import links
from private_worker import token_life
from private_worker.check.finding import WHY
from private_worker.probe.verdicts import VERDICTS

DOCS = ROOT / "docs"
GUARD = ROOT / "examples" / "everything" / "src" / "guard"  # with all that a guard can have
FOLDERS = ("tutorial", "how-to", "explanation")
FILES = [DOCS / "index.md", DOCS / "troubleshooting.md"]
FILES += [path for folder in FOLDERS for path in (DOCS / folder).glob("*.md")]
PAGES = {
    path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(FILES)
}
LONGEST = 130  # lines of a page

# The topics that a guide to private Workers has to have.
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


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


# --- Pages and topics -----------------------------------------------------------------------------


def test_every_topic_has_its_place() -> None:
    """The table in index.md: each topic, in this order, with links to pages and headings."""
    table = PAGES["index.md"].split("\n## By topic\n")[1]
    rows = re.findall(r"^\| ([^|]+) \| (.+) \|$", table, re.MULTILINE)[1:]
    assert [topic for topic, _ in rows] == list(TOPICS)
    for topic, place in rows:
        assert links(place), topic


def test_every_page_is_found_from_the_first() -> None:
    """And a page answers one question: one title, not too long."""
    listed = {link.partition("#")[0] for link in links(PAGES["index.md"])}
    for name, text in PAGES.items():
        assert name == "index.md" or name in listed, f"{name}: index.md does not lead there"
        assert len(re.findall(r"^# ", prose(text), re.MULTILINE)) == 1, name
        assert text.count("\n") <= LONGEST, name


def test_plain_words() -> None:
    """No dash that joins two sentences, nothing unfinished, no id that only insiders know."""
    for name, text in PAGES.items():
        assert "\u2014" not in text and "\u2013" not in text, name
        assert not re.search(r"\b(TODO|TBD|FIXME|XXX|[Tt]hreat \d+|[JHPWU]\d+)\b", text), name


# --- Names ----------------------------------------------------------------------------------------


def test_rules_of_check() -> None:
    """What a page says that `check` finds is one of its rules."""
    group = re.compile(r"`npm run check`: (`[\w-]+`(?:, `[\w-]+`)*)")
    named = [
        (name, rule)
        for name, text in PAGES.items()
        for found in group.findall(text)
        for rule in re.findall(r"`([\w-]+)`", found)
    ]
    assert len(named) > 10
    for name, rule in named:
        assert rule in WHY, f"{name}: check has no rule {rule}"


def test_results_of_probe() -> None:
    """The table names each verdict that a reader can see, and no other."""
    table = PAGES["how-to/look-from-outside.md"].split("\n## Probe\n")[1]
    named = {row.lower() for row in re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)}
    assert named == set(VERDICTS) - {"https"}


def test_reason_codes() -> None:
    """The first column of the guard's table in troubleshooting.md."""
    codes = set(re.findall(r'^    [A-Z_]+ = "(\w+)"', source("refusal"), re.MULTILINE))
    codes |= set(re.findall(r'_line\("\w+", "(\w+)"', source("log")))
    table = PAGES["troubleshooting.md"].split("\n## The guard refuses a token of Access\n")[1]
    named = re.findall(r"^\| `(\w+)` \|", table.split("\n## ")[0], re.MULTILINE)
    # A guard that takes every kind of callers has no caller_kind.
    assert len(named) > 5 and set(named) - {"caller_kind"} <= codes


def source(module: str) -> str:
    return (GUARD / f"{module}.py").read_text(encoding="utf-8")


def named_tests() -> Iterator[tuple[str, str, str]]:
    """Page, file and test, wherever a page says what shows its claim."""
    for name, text in PAGES.items():
        for file, group in re.findall(r"`(test_\w+\.py)`((?:[:,]\s`test_\w+`)*)", text):
            yield name, file, ""
            for function in re.findall(r"`(test_\w+)`", group):
                yield name, file, function
        loose = re.sub(r"`test_\w+\.py`(?:[:,]\s`test_\w+`)*", "", text)
        assert not re.search(r"`test_\w+`", loose), f"{name}: a test without its file"


def test_named_tests_exist() -> None:
    sources: dict[str, str] = {}
    for name in tracked_files():
        if re.match(r"(tests|template)/.*/test_\w+\.py", name):
            text = (ROOT / name).read_text(encoding="utf-8")
            sources[Path(name).name] = sources.get(Path(name).name, "") + text
    found = list(named_tests())
    assert len(found) > 60
    for name, file, function in found:
        assert file in sources, f"{name}: there is no {file}"
        assert f"def {function}" in sources[file], f"{name}: {file} has no {function}"


def test_decisions() -> None:
    """The number of a decision that a page names is there."""
    decisions = (DOCS / "decisions.md").read_text(encoding="utf-8")
    found = [
        (name, number)
        for name, text in PAGES.items()
        for number in re.findall(r"\b[Dd]ecision (\d+)\b", text)
    ]
    assert found
    for name, number in found:
        assert re.search(rf"^{number}\. ", decisions, re.MULTILINE), f"{name}: {number}"


# --- Numbers --------------------------------------------------------------------------------------

UNIT = r"(?:seconds?|minutes?|hours?|days?|weeks?|KiB|MiB|bits|levels|tokens)"
MINUTE, HOUR, KIB = 60, 60 * 60, 1024

# Number and unit as they stand in a page, to the constants of the guard that have to equal them.
CLAIMS: dict[str, list[tuple[str, str, float]]] = {
    "1 hour": [("keys", "FRESH", HOUR)],
    "24 hours": [("keys", "KEPT", 24 * HOUR)],
    "30 seconds": [("keys", "COOLDOWN", 30), ("token", "LEEWAY", 30)],
    "5 seconds": [("keys", "TIMEOUT", 5)],
    "64 KiB": [("keys", "MAX_BODY", 64 * KIB)],
    "2048 to 8192 bits": [("keys", "MIN_BITS", 2048), ("keys", "MAX_BITS", 8192)],
    "5 minutes": [("gate", "KNOWN_FOR", 5 * MINUTE)],
    "512 tokens": [("gate", "MAX_KNOWN", 512)],
    "16 KiB": [("token", "MAX_TOKEN", 16 * KIB)],
    "2 KiB": [("token", "MAX_HEADER", 2 * KIB)],
    "32 levels": [("strictjson", "MAX_NESTING", 32)],
    "1 MiB": [("body", "MAX_BODY", KIB * KIB)],
}
# Cloudflare's, from its page on Access's keys.
CLOUDFLARE = {"6 weeks", "7 days"}
# How long before its end a command warns of a service token.
COMMANDS = {f"{token_life.SOON.days} days"}


def constants(module: str) -> dict[str, float]:
    """The module's numbers in capitals: `A = 60 * 60` and `A, B = 1, 2`."""
    found: dict[str, float] = {}
    plain = {ast.BinOp, ast.Mult, ast.Constant, ast.Tuple, ast.Load}
    for node in ast.parse(source(module)).body:
        if not isinstance(node, ast.Assign) or not {type(p) for p in ast.walk(node.value)} <= plain:
            continue
        names = [name.id for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name)]
        value = eval(compile(ast.Expression(node.value), "constant", "eval"))
        values = value if isinstance(value, tuple) else (value,)
        pairs = zip(names, values, strict=False)
        found |= {name: each for name, each in pairs if isinstance(each, int | float)}
    return found


def test_numbers_are_the_guards() -> None:
    """Every duration and size in a page is known here, and equal to the constant."""
    seen = set()
    for name, text in PAGES.items():
        for claim in re.findall(rf"\b(?:\d+ to )?\d+\s{UNIT}\b", prose(text)):
            claim = re.sub(r"\s", " ", claim)
            known = {*CLAIMS, *CLOUDFLARE, *COMMANDS}
            assert claim in known, f"{name}: where does {claim} come from?"
            seen.add(claim)
    assert seen == {*CLAIMS, *CLOUDFLARE, *COMMANDS}
    for claim, rows in CLAIMS.items():
        for module, constant, value in rows:
            assert constants(module)[constant] == value, f"{claim}: {module}.{constant}"


def test_table_of_key_rotation() -> None:
    """A row for each number in keys.py that says how long or how much."""
    text = PAGES["explanation/key-rotation.md"]
    rows = re.findall(r"^\| .+ \| (\d+)(?: (\w+))? \| `([A-Z_]+)` \|$", text, re.MULTILINE)
    factor = {"hour": HOUR, "hours": HOUR, "seconds": 1, "KiB": KIB, "": 1}
    named = {constant: int(number) * factor[unit] for number, unit, constant in rows}
    there = {name: value for name, value in constants("keys").items() if "BITS" not in name}
    assert named == there
