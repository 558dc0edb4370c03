"""The page of what the guard reads, answers and logs: read from rendered projects.

One project is rendered for each selection of callers, because that decides what the guard has.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from files import read_jsonc
from reference_markdown import block, code, table
from reference_render import render
from shapes import PARAMETERS

CALLERS: tuple[tuple[str, ...], ...] = PARAMETERS["callers"]
ALL = max(CALLERS, key=len)
CONFIG, CALLING, TROUBLE = "wrangler.jsonc", "docs/CALLING.md", "docs/TROUBLESHOOTING.md"
FILES = (CONFIG, CALLING, TROUBLE)
MEANINGS = {
    "TEAM_DOMAIN": "your team at Zero Trust: where the signing keys are, and who must sign",
    "POLICY_AUD": "the AUD tag of the Access application in front; several are a list",
    "ALLOWED_EMAILS": "the people, `@example.com` for a whole domain; "
    '`["*"]` is whoever the Access policy admits, `[]` is nobody',
    "ALLOWED_SERVICE_TOKENS": "the programs, by Client ID; `*` and `[]` as for people",
    "ALLOWED_WORKERS": "the calling Workers, by the name in the `props` of their binding",
}
# What a project has only with this answer.
ONLY = {"rate_limited": "with `requests_per_minute`"}
OPTIONAL = [
    ["`ROLES`", "optional: who may do more, where your code asks for a role", "always"],
    ["`LOG_WHO`", 'optional: `"pseudonym"` or `"name"`, and the log says who is calling', "always"],
    ["`LOG_KEY`", "optional, a secret: makes the pseudonyms; at least 32 characters", "always"],
]
# In which projects something is, by their callers.
WORDS: dict[str, Callable[[tuple[str, ...]], bool]] = {
    "always": lambda callers: True,
    "with `human`": lambda callers: "human" in callers,
    "with `machine`": lambda callers: "machine" in callers,
    "with `binding`": lambda callers: "binding" in callers,
    "with `human` or `machine`": lambda callers: callers != ("binding",),
    "with `human` and `machine`": lambda callers: {"human", "machine"} <= {*callers},
    "with either `human` or `machine`": lambda callers: len({*callers} - {"binding"}) == 1,
    "with `binding` only": lambda callers: callers == ("binding",),
}

INTRO = """# What the guard reads, answers and logs

## Variables

They stand under `vars` in `wrangler.jsonc`. One that is missing, empty, a placeholder or malformed
closes the Worker for everybody; only the optional ones may be missing. No variable turns a check
off.

With `requests_per_minute` the guard also asks the binding `RATE_LIMIT` under `ratelimits`:
[limit each caller](../how-to/limit.md).

"""
ANSWERS = """
## Answers

What a caller sees of Access, of the guard and of the sample API, over HTTP:

"""
RPC = """
Over RPC an error is a value, `{"ok": false, "error": …}`:

"""
REASONS = """
## Reason codes

A caller is never told why. The log is, in one line for each decision:

"""


def page() -> str:
    return "".join(
        [
            INTRO
            + table(["variable", "what it holds", "read"], [*map(variable, MEANINGS), *OPTIONAL]),
            ANSWERS + rows_of(ALL, CALLING, "answer"),
            RPC + rows_of(ALL, CALLING, "`error`"),
            REASONS + block("json", log_line()) + "\n",
            table(["decision", "reason", "what happened", "in a project"], reasons()),
            "\nWhat to do about each stands in `docs/TROUBLESHOOTING.md` of your project.\n",
        ]
    )


@cache
def project(callers: tuple[str, ...]) -> Path:
    return render(
        {
            "profile": "custom",
            "callers": f"[{', '.join(callers)}]",
            "binding_style": "both",
            "requests_per_minute": "300",
        }
    )


def variables(callers: tuple[str, ...]) -> list[str]:
    return list(read_jsonc(project(callers) / CONFIG)["vars"])


def variable(name: str) -> list[str]:
    return [code(name), MEANINGS[name], in_projects([name in variables(each) for each in CALLERS])]


def in_projects(there: list[bool]) -> str:
    """For which callers. Raises StopIteration if no words are known for that."""
    return next(words for words, holds in WORDS.items() if [holds(c) for c in CALLERS] == there)


def reasons() -> Iterator[list[str]]:
    """A row for each reason code that some project logs, in the order of the request."""
    told = {callers: list(told_reasons(callers)) for callers in (ALL, *CALLERS)}
    seen: dict[str, tuple[str, str]] = {}
    for rows in told.values():
        for decision, codes, happened in rows:
            for name in codes:
                seen.setdefault(name, (decision, happened))
    for name, (decision, happened) in seen.items():
        there = [any(name in codes for _, codes, _ in told[each]) for each in CALLERS]
        yield [code(decision), code(name), happened, ONLY.get(name) or in_projects(there)]


def told_reasons(callers: tuple[str, ...]) -> Iterator[tuple[str, list[str], str]]:
    """Decision, reason codes and what happened, from a project's TROUBLESHOOTING."""
    for row in cells(callers, TROUBLE, "`decision`"):
        yield row[0].strip("`"), re.findall(r"`([a-z_]+)`", row[1]), row[2]


def log_line() -> str:
    text = (project(ALL) / TROUBLE).read_text(encoding="utf-8")
    return text.split("```json\n")[1].split("```")[0]


def rows_of(callers: tuple[str, ...], file: str, first: str) -> str:
    """A project's table again, without the links, which lead to its own files."""
    head, *rows = cells(callers, file, first, with_head=True)
    return table(head, rows)


def cells(
    callers: tuple[str, ...], file: str, first: str, with_head: bool = False
) -> list[list[str]]:
    """The rows of the table whose first column is called `first`.

    Raises StopIteration if there is none.
    """
    lines = (project(callers) / file).read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        plain = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", line)
        rows.append([cell.strip() for cell in plain.strip("|").split(" | ")])
    return [rows[0], *rows[2:]] if with_head else rows[2:]
