"""`probe`: try every way in from outside, as somebody who must not get in.

At most fourteen requests for each address. What reaches the API is OPEN, however it answers. Closed
are only the login of Cloudflare Access and a refusal that names its application. The secret of a
service token goes only where Access has proved by a signature that it is in front.
"""

import argparse
import asyncio
import json
import os
import re
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple
from urllib.request import getproxies

from httpx import URL, AsyncClient, InvalidURL, Limits
from rich.console import Console
from rich.progress import track

from .. import guard_rules
from ..config import Config
from ..guard_rules import ANYONE, Settings
from ..project import ON_HOSTNAME, WRANGLER, Problem, Project
from ..standin.team import AUD, CERTS, MACHINE, PERSON, SigningKey, Team
from ..text import plain
from . import oauth, proof
from .verdicts import NO_NAME, VERDICTS, Answer, judge
from .ways import Way, Ways, find

Headers = dict[str, str]
TIMEOUT = 10  # seconds for a request and all of its answer, however slowly the pieces come
MOST = 64 * 1024  # bytes of an answer's body
PROXIED = bool(getproxies().keys() & {"http", "https", "all"})
SERVICE_TOKEN = "service token"
ASSET = "static asset"
AGENTS = "/mcp"  # below an address, see src/entry.py
PROTECT = "Put Access in front: npm run provision."
TURN_OFF = "Turn it off in the dashboard (Settings > Domains & Routes), or put Access in front."
GUARD_FIRST = 'Cloudflare serves it before the guard: deploy with "run_worker_first": true.'
HTTPS_ONLY = "Turn on Always Use HTTPS for the zone."
UNPROVED = "Access did not prove that it is in front, so the service token was not sent"
# Why the exit status is 1, the worst last.
PROBLEMS = {
    "missing": "Nothing is there, but should be (deployed? a DNS record? this computer online?):",
    "unreachable": "Could not be tried, so not known to be closed:",
    "guard": "Access is not in front, only the guard held:",
    "open": "OPEN:",
}


class Result(NamedTuple):
    """An address. `attempts`: of each request its name, status, verdict and remark."""

    url: str
    source: str
    verdict: str
    hint: str
    attempts: list[dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "With CLOUDFLARE_API_TOKEN it asks Cloudflare for all addresses. With CF_ACCESS_CLIENT_ID "
        "and CF_ACCESS_CLIENT_SECRET it tries that service token as well, which must get in, "
        "wherever Access has proved that it is in front. "
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
    config = Config(project.root / WRANGLER)
    settings: Settings | None = None  # the guard's, once they are set
    if project.shape.edge:
        with suppress(guard_rules.NotConfigured):
            settings = guard_rules.settings(project.root, config.block(options.env).vars)
    token, client = _service_token(project), _client()
    listed = settings.service_tokens if settings else frozenset()
    ours = token.get("CF-Access-Client-Id", ANYONE)
    ways = find(options, config, (listed | {ours}) - {ANYONE})
    requests = _prepare(settings, project.shape.humans, token)
    unknown = _unknown(project, listed, ours)

    logins: dict[str, oauth.Login] = {}  # of agents, by address

    async def tried() -> list[Result]:
        each, hidden = list(ways.found.values()), not sys.stderr.isatty()
        shown = track(each, "Trying", console=Console(stderr=True), disable=hidden)
        found = []
        async with client:
            for way in shown:
                found.append(await _try(client, way, requests, settings, unknown))
                if found[-1].verdict == "access" and way.wanted and settings:
                    ask, url = partial(_ask, client), URL(way.url)
                    if project.shape.agents:  # Access may have something else in front of a path
                        url = url.copy_with(path=url.path.rstrip("/") + AGENTS)
                    logins[way.url] = await oauth.login(ask, url, settings.issuer)
        return found

    results = asyncio.run(tried())
    problems = ways.unread + _problems(results, bool(token))
    problems[:0] = _of_agents(logins, project.shape.agents)
    fails = [(url, one.wrong) for url, one in logins.items() if one.wrong]
    ways.warnings += [f"{url}: agents may fail to log in: {wrong}." for url, wrong in fails]
    if settings is None and project.shape.edge:
        problems.insert(0, "Whose login it is cannot be told: a setting is missing, npm run check.")
    if options.json:
        is_open = [result.url for result in results if result.verdict == "open"]
        said = {"ok": not problems, "open": is_open, "problems": problems}
        addresses = [result._asdict() for result in results]
        more = {"not_tried": ways.not_tried, "warnings": ways.warnings}
        print(json.dumps({**said, "addresses": addresses, **more}, indent=2))
    else:
        _print(results, problems, ways)
    return 1 if problems else 0


def _service_token(project: Project) -> Headers:
    """The headers of the service token in the environment, if there is one. Raises Problem."""
    names = ("CF_ACCESS_CLIENT_ID", "CF_ACCESS_CLIENT_SECRET")
    values = [os.environ.get(name, "").strip() for name in names]
    for name, value in zip(names, values, strict=True):
        if any(values) and not re.fullmatch(r"[!-~]+", value):
            raise Problem(f"{name} is empty or has a character that it cannot have")
    if values[1].endswith(".access"):
        raise Problem(f"{names[1]} is a Client ID: the two values are mixed up")
    client_id, secret = values if project.shape.machines else ("", "")
    return {"CF-Access-Client-Id": client_id, "CF-Access-Client-Secret": secret} if secret else {}


def _client() -> AsyncClient:
    """Raises Problem when a variable about certificates or a proxy is wrong."""
    headers = {"User-Agent": "private-worker-probe", "Accept-Encoding": "identity"}
    headers["Accept"] = "text/html"  # for JSON, Access would answer with JSON, as the API does
    once = Limits(max_keepalive_connections=0)  # a connection for each request
    try:  # `_ask` has the only timeout
        return AsyncClient(headers=headers, limits=once, timeout=None)
    except (OSError, ValueError, ImportError, InvalidURL):
        raise Problem("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or SSL_CERT_FILE is wrong") from None


def _prepare(settings: Settings | None, humans: bool, token: Headers) -> dict[str, Headers]:
    """The headers of each request. All but the service token must be refused.

    The forged tokens say all the right things, but it is not Access that signed them.
    settings: the guard's; what is not set is made up. token: a service token's headers, or none.
    """
    team, aud, email, client_id = Team(SigningKey()), [AUD], PERSON, MACHINE
    team.skew, team.lasts = -5, 300  # in force already, also where the clock is a little behind
    if settings is not None:
        team.team_domain, aud = settings.issuer, sorted(settings.audiences)
        people = {*settings.emails, *(f"somebody@{domain}" for domain in settings.domains)}
        email = min(filter(str.isascii, people - {ANYONE}), default=PERSON)
        client_id = min(settings.service_tokens - {ANYONE}, default=MACHINE)
    claims = team.claims_person(email) if humans else team.claims_machine(client_id)
    signed = team.token({**claims, "aud": aud})
    unsigned = team.token({**claims, "aud": aud}, {**team.header(), "alg": "none"})
    assertion = "Cf-Access-Jwt-Assertion"
    return {
        "anonymous": {},
        "unsigned token": {assertion: unsigned.rpartition(".")[0] + "."},  # RFC 7518 section 3.6
        "forged token": {assertion: signed},
        "wrong AUD": {assertion: team.token({**claims, "aud": ["f" * 64]})},
        "e-mail header": {"Cf-Access-Authenticated-User-Email": email},
        "cookie": {"Cookie": f"CF_Authorization={signed}"},
        ASSET: {},
        SERVICE_TOKEN: token,
        "http": {},
    }


async def _try(
    client: AsyncClient,
    way: Way,
    requests: dict[str, Headers],
    settings: Settings | None,
    unknown: str,
) -> Result:
    """Send the requests to one address, one after the other. The worst answer counts."""
    url = URL(way.url)
    attempts: list[dict[str, Any]] = []
    for name, headers in requests.items():
        if attempts and attempts[0]["status"] is None and name != "http":
            continue  # no such name, or no connection: it would be the same again
        if name == ASSET and not way.asset:
            continue
        if name == SERVICE_TOKEN:
            ours = way.wanted and url.scheme == "https"
            # What is only said by headers and a redirect is no proof; see _is_access.
            if not headers or not ours or any(made["verdict"] != "access" for made in attempts):
                continue
        if name == "http":  # the last request
            if url.scheme == "http" or url.port:
                continue
            url = url.copy_with(scheme="http")
        asked = url.copy_with(raw_path=way.asset) if name == ASSET else url
        answer = Answer(why=UNPROVED)
        if name != SERVICE_TOKEN or await _is_access(client, url, settings):
            answer = await _ask(client, asked, headers)
        verdict, remark = judge(answer, asked, settings)
        if name == SERVICE_TOKEN and answer.why != UNPROVED:
            verdict, remark = _let_in(answer.status, verdict, unknown)
        made = {"name": name, "status": answer.status, "verdict": verdict, "remark": remark}
        attempts.append(made)
    worst = min((a["verdict"] for a in attempts if a["name"] != SERVICE_TOKEN), key=VERDICTS.index)
    names = ", ".join(made["name"] for made in attempts if made["verdict"] == worst)
    said = [f"{worst}: {names}."] if worst in ("open", "unreachable") else []
    if worst in ("open", "guard"):
        fixes = {"http": HTTPS_ONLY, ASSET: GUARD_FIRST}
        said += [fixes.get(names, PROTECT if way.wanted else TURN_OFF)]
    if worst == "nothing" and way.example:
        worst, said = "unreachable", ["This is one example of a wildcard."]
    elif worst == "nothing" and way.wanted:
        worst = "missing"
    said += [made["remark"] for made in attempts if made["remark"]]
    # Each sentence once.
    return Result(way.url, way.source, worst, " ".join(dict.fromkeys(said)), attempts)


async def _is_access(client: AsyncClient, url: URL, settings: Settings | None) -> bool:
    """Whether Access proves that our application is in front, so that a secret may go there."""
    if settings is None:
        return False
    signed = (await _ask(client, url, proof.ASK, "HEAD")).headers.get(proof.ANSWER, "")
    certs = await _ask(client, URL(settings.issuer + CERTS), {})
    return proof.is_given(signed, certs.body, url.raw_host.decode(), settings)


def _unknown(project: Project, listed: frozenset[str], ours: str) -> str:
    """Why the guard most likely answers 403 to the service token: by what wrangler.jsonc lists,
    because the answer is always the same."""
    if not listed & {ANYONE, ours}:
        return "its Client ID is not in ALLOWED_SERVICE_TOKENS. Add it there, then deploy."
    known = "ALLOWED_SERVICE_TOKENS lists it. Is that deployed? npx wrangler tail shows the reason."
    hidden = " If that is not_allowed, Access on the whole Worker hides which program it is. "
    return known + f"{hidden}{ON_HOSTNAME}" * (project.shape.nameless and ANYONE not in listed)


def _let_in(status: int | None, verdict: str, unknown: str) -> tuple[str, str]:
    """What became of the service token. The answer is not shown: it could repeat what was sent.

    https://developers.cloudflare.com/cloudflare-one/access-controls/service-credentials/service-tokens/
    """
    refused = status in (401, 403)  # Access does not always name itself to a token
    if verdict == "open" and status and status < 500 and not refused:
        return "let in", ""
    if verdict == "guard":
        why = unknown if status == 403 else f"it answered {status}, and its log says why."
        return verdict, f"Access took the service token, the guard refused it: {why}"
    if verdict == "access" or (refused and verdict != "open"):
        did = "refused the service token" if refused else "asks for a login"
        return "access", f"Access {did}: it is wrong, expired, or in no Service Auth policy here."
    return "unreachable", "The service token got no clear answer."


async def _ask(client: AsyncClient, url: URL, headers: Headers, method: str = "GET") -> Answer:
    """What is known of the answer after TIMEOUT. No redirect is followed, no long body read."""
    answer = Answer(why="It timed out")
    client.cookies.clear()  # each request is for itself
    try:
        asked = client.stream(method, url, headers=headers)
        async with asyncio.timeout(TIMEOUT), asked as response:
            answer = Answer(response.status_code, response.headers, why="The answer did not end")
            if url.scheme == "http" and PROXIED and not answer.at_cloudflare:
                return Answer(why="A proxy may have answered instead")
            async for piece in response.aiter_raw():
                answer = answer._replace(body=answer.body + piece)
                if len(answer.body) > MOST:
                    break
        return answer._replace(why="")
    except TimeoutError:
        return answer
    except Exception as error:  # whatever it is, the other addresses are still tried
        # With a proxy it could be the proxy's own name that is not known.
        no_name = f"[Errno {socket.EAI_NONAME}]" in str(error) and not PROXIED
        return answer._replace(why=NO_NAME if no_name else plain(error) or "No answer")


def _of_agents(logins: dict[str, oauth.Login], agents: tuple[str, ...]) -> list[str]:
    """Addresses where agents can log in and should not, or the other way round."""
    urls = ", ".join(url for url, one in logins.items() if one.offered != bool(agents))
    said = "Agents can log in, although the project asks for none"
    if agents:
        said = "Agents cannot log in, because Access does not ask them to"
    return [f"{said}: {urls}. Put it right: npm run provision."] if urls else []


def _problems(results: list[Result], token: bool) -> list[str]:
    """Why the exit status is 1, the worst last."""
    sent = [a for result in results for a in result.attempts if a["name"] == SERVICE_TOKEN]
    problems = []
    if token and all(attempt["status"] is None for attempt in sent):
        problems.append("The service token was not tried: Access has not proved that it is there.")
    elif any(attempt["verdict"] != "let in" for attempt in sent):
        problems.append("The service token did not get in.")
    for verdict, what in PROBLEMS.items():
        if urls := [result.url for result in results if result.verdict == verdict]:
            problems.append(f"{what} {', '.join(urls)}")
    return problems


def _print(results: list[Result], problems: list[str], ways: Ways) -> None:
    # Text from outside stays text.
    out = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    if problems and problems[-1].startswith("OPEN:"):
        out.print(problems[-1], style="bold red")
    for result in results:
        verdict = result.verdict.replace("open", "OPEN")
        out.print(f"{verdict:12}{result.url} ({result.source})")
        if result.hint:
            out.print(f"{'':12}{result.hint}")
    for what in ways.not_tried:
        out.print(f"Not tried, so not known to be closed: {what}")
    for warning in ways.warnings:
        out.print(f"Warning: {warning}", style="yellow")
    for problem in problems:
        out.print(problem, style="bold red")
    if any(made["verdict"] == "let in" for result in results for made in result.attempts):
        out.print("The service token got in.")
    if not problems:
        # There is always something that could not be tried.
        said = f"Closed, as far as it was tried (addresses: {len(results)})."
        out.print(said, style="bold green")
