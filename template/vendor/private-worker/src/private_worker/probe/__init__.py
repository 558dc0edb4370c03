"""`probe`: try every way in from outside, as somebody who must not get in.

At most eight requests for each address. What reaches the API is OPEN, however it answers. Closed
are only the login of Cloudflare Access and a 401 or 403 of Cloudflare's.
"""

import argparse
import asyncio
import json
import os
import re
import sys

from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from .. import guard_rules
from ..config import Config
from ..guard_rules import ANYONE
from ..project import WRANGLER, Problem, Project, Shape
from .attempts import SERVICE_TOKEN, Result, attempt, new_client, prepare
from .verdicts import Expected
from .ways import find

# Why the exit status is 1, the worst last.
PROBLEMS = {
    "missing": "Nothing is there, but should be (is it deployed, is there a DNS record?):",
    "unreachable": "Could not be tried, so not known to be closed:",
    "guard": "Access is not in front, only the guard held:",
    "open": "OPEN:",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "With CLOUDFLARE_API_TOKEN it asks Cloudflare for all addresses. With CF_ACCESS_CLIENT_ID "
        "and CF_ACCESS_CLIENT_SECRET it tries that service token as well, which must get in. "
        "Exit status: 0 closed, 1 not closed or not known, 2 it could not start."
    )
    parser.add_argument("--env", metavar="NAME", help="an environment of wrangler.jsonc")
    parser.add_argument("--url", action="append", default=[], help="one more address (repeatable)")
    parser.add_argument("--subdomain", metavar="NAME", help="as in <worker>.NAME.workers.dev")
    parser.add_argument("--account-id", metavar="ID", help="when the API token reaches several")
    parser.add_argument("--json", action="store_true", help="print JSON only")


def run(options: argparse.Namespace) -> int:
    """Returns 0 when all that was tried is closed. Raises Problem."""
    project: Project = options.project
    shape, config = project.shape, Config(project.root / WRANGLER)
    expected, token = _expected(project, config, options.env), _service_token(shape)
    client = new_client()
    ways = find(options, config)
    requests = prepare(expected, shape.humans, token)

    async def tried() -> list[Result]:
        with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
            each = progress.track(list(ways.found.values()), description="Trying")
            return [await attempt(way, requests, client, expected) for way in each]

    results = asyncio.run(tried())
    problems = _problems(results, bool(token))
    if expected.team is None and shape.edge:
        problems.insert(0, "Whose login it is: a setting is missing, see npm run check.")
    if options.json:
        is_open = [result.url for result in results if result.verdict == "open"]
        said = {"ok": not problems, "open": is_open, "problems": problems}
        addresses = [result._asdict() for result in results]
        print(json.dumps({**said, "addresses": addresses, "not_tried": ways.not_tried}, indent=2))
    else:
        _print(results, problems, ways.not_tried)
    return 1 if problems else 0


def _problems(results: list[Result], token: bool) -> list[str]:
    """Why the exit status is 1, the worst last."""
    sent = [a for result in results for a in result.attempts if a["name"] == SERVICE_TOKEN]
    got_in = sent and all(attempt["verdict"] == "let in" for attempt in sent)
    problems = ["The service token did not get in."] if token and not got_in else []
    for verdict, what in PROBLEMS.items():
        urls = [result.url for result in results if result.verdict == verdict]
        if urls:
            problems.append(f"{what} {', '.join(urls)}")
    return problems


def _print(results: list[Result], problems: list[str], not_tried: list[str]) -> None:
    # Text from outside stays text.
    out = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    if problems and problems[-1].startswith("OPEN:"):
        out.print(problems[-1], style="bold red")
    table = Table("Result", Column("Address", overflow="fold"), "Found as")
    for result in results:
        table.add_row(result.verdict.replace("open", "OPEN"), result.url, result.source)
    out.print(table, soft_wrap=False)
    for result in results:
        if result.hint:
            out.print(f"{result.url}: {result.hint}")
    for what in not_tried:
        out.print(f"Not tried, so not known to be closed: {what}")
    for problem in problems:
        out.print(problem, style="bold red")
    if not problems:
        # There is always something that could not be tried.
        out.print(f"Closed, as far as it was tried: {len(results)} addresses.", style="bold green")


def _expected(project: Project, config: Config, environment: str | None) -> Expected:
    """The guard's settings, or made-up ones while they are not set. Raises Problem."""
    unset, variables = Expected(), config.block(environment).vars
    if not project.shape.edge:
        return unset
    try:
        settings = guard_rules.settings(project.root, variables)
    except guard_rules.NotConfigured:
        return unset
    return Expected(
        settings.issuer.removeprefix("https://"),
        settings.audiences,
        min(filter(str.isascii, settings.emails - {ANYONE}), default=unset.email),
        min(settings.service_tokens - {ANYONE}, default=unset.client_id),
    )


def _service_token(shape: Shape) -> dict[str, str]:
    """The headers of the service token in the environment, if there is one. Raises Problem."""
    names = ("CF_ACCESS_CLIENT_ID", "CF_ACCESS_CLIENT_SECRET")
    values = [os.environ.get(name, "").strip() for name in names]
    for name, value in zip(names, values, strict=True):
        if any(values) and not re.fullmatch(r"[!-~]+", value):
            raise Problem(f"{name} is empty or has a character that it cannot have")
    client_id, secret = values if shape.machines else ("", "")
    return {"CF-Access-Client-Id": client_id, "CF-Access-Client-Secret": secret} if secret else {}
