# Managed by the private-worker template: do not edit, an update replaces it.
"""`probe`: try every way in from outside, as somebody who must not get in.

At most eight requests for each address. What reaches the API is OPEN, however it answers. Closed
are only the login of Cloudflare Access and a 401 or 403 of Cloudflare's.
"""

import argparse
import base64
import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any, NamedTuple
from urllib.request import getproxies

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from . import shape
from .project import Config, Problem, guard_settings, plain
from .verdicts import NO_NAME, VERDICTS, Answer, Expected, judge
from .ways import Way, find

TIMEOUT = 10  # seconds for a request and all of its answer
MOST = 64 * 1024  # bytes of an answer's body
PROXIED = bool(getproxies().keys() & {"http", "https", "all"})
SERVICE_TOKEN = "service token"
PROTECT = "Put Access in front: npm run provision."
TURN_OFF = "Turn it off in the dashboard (Settings > Domains & Routes), or put Access in front."
HTTPS_ONLY = "Turn on Always Use HTTPS for the zone."
# Why the exit status is 1, the worst last.
PROBLEMS = {
    "missing": "Nothing is there, but should be (is it deployed, is there a DNS record?):",
    "unreachable": "Could not be tried, so not known to be closed:",
    "guard": "Access is not in front, only the guard held:",
    "open": "OPEN:",
}
Requests = dict[str, dict[str, str]]  # the headers of each request
NewClient = Callable[[], httpx.Client]


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
    config = Config()
    expected, token, client = _expected(config, options.env), _service_token(), _new_client()
    ways = find(options, config)
    requests, results = _requests(expected, token), []
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        for way in progress.track(list(ways.found.values()), description="Trying"):
            results.append(_try(way, requests, client, expected))
    problems = _problems(results, bool(token))
    if expected.team is None and shape.EXPOSURE != "none":
        problems.insert(0, "Whose login it is: a setting is missing, see npm run check.")
    if options.json:
        is_open = [result.url for result in results if result.verdict == "open"]
        said = {"ok": not problems, "open": is_open, "problems": problems}
        addresses = [result._asdict() for result in results]
        print(json.dumps({**said, "addresses": addresses, "not_tried": ways.not_tried}, indent=2))
    else:
        _print(results, problems, ways.not_tried)
    return 1 if problems else 0


def _requests(expected: Expected, token: dict[str, str]) -> Requests:
    """The headers of each request. All but the service token must be refused.

    The forged tokens say all the right things, but it is not Access that signed them.
    https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/application-token/
    """
    now = int(time.time())
    issuer = f"https://{expected.team or 'example.cloudflareaccess.com'}"
    claims: dict[str, Any] = {"iss": issuer, "aud": sorted(expected.audiences), "type": "app"}
    claims |= {"iat": now - 5, "nbf": now - 5, "exp": now + 300}
    if shape.HUMANS:
        claims |= {"email": expected.email, "sub": "0f0f0f0f-0000-4000-8000-000000000001"}
    else:
        claims |= {"common_name": expected.client_id, "sub": ""}
    key = rsa.generate_private_key(65537, 2048)

    def encoded(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    def forged(algorithm: str, claims: dict[str, Any]) -> str:
        parts = {"alg": algorithm, "typ": "JWT", "kid": "probe"}, claims
        text = ".".join(encoded(json.dumps(part).encode()) for part in parts)
        signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{'' if algorithm == 'none' else encoded(signature)}"

    signed = forged("RS256", claims)
    assertion = "Cf-Access-Jwt-Assertion"
    return {
        "anonymous": {},
        "unsigned token": {assertion: forged("none", claims)},
        "forged token": {assertion: signed},
        "wrong AUD": {assertion: forged("RS256", {**claims, "aud": ["f" * 64]})},
        "e-mail header": {"Cf-Access-Authenticated-User-Email": expected.email},
        "cookie": {"Cookie": f"CF_Authorization={signed}"},
        SERVICE_TOKEN: token,
        "http": {},
    }


def _try(way: Way, requests: Requests, client: NewClient, expected: Expected) -> Result:
    """Send the requests to one address. The worst answer counts."""
    url = httpx.URL(way.url)
    attempts: list[dict[str, Any]] = []
    for name, headers in requests.items():
        if attempts and attempts[0]["status"] is None and name != "http":
            continue  # no such name, or no connection: it would be the same again
        if name == SERVICE_TOKEN:
            ours = way.wanted and url.scheme == "https" and expected.team is not None
            # Unless Access refused the first request, another could read the secret.
            if not headers or not ours or attempts[0]["verdict"] != "access":
                continue
        if name == "http" and (url.scheme == "http" or url.port):
            continue
        if name == "http":
            url = url.copy_with(scheme="http")  # it is the last request
        answer = _ask(client, url, headers)
        verdict, remark = judge(answer, url, expected)
        if name == SERVICE_TOKEN:
            verdict, remark = _let_in(answer.status, verdict)
        made = {"name": name, "status": answer.status, "verdict": verdict, "remark": remark}
        attempts.append(made)
    worst = min((a["verdict"] for a in attempts if a["name"] != SERVICE_TOKEN), key=VERDICTS.index)
    names = ", ".join(made["name"] for made in attempts if made["verdict"] == worst)
    said = [f"{worst}: {names}."] if worst in ("open", "unreachable") else []
    if worst in ("open", "guard"):
        said += [HTTPS_ONLY if names == "http" else PROTECT if way.wanted else TURN_OFF]
    if worst == "nothing" and way.example:
        worst, said = "unreachable", ["This is one example of a wildcard."]
    elif worst == "nothing" and way.wanted:
        worst = "missing"
    said += [made["remark"] for made in attempts if made["remark"]]
    # Each sentence once.
    return Result(way.url, way.source, worst, " ".join(dict.fromkeys(said)), attempts)


def _let_in(status: int | None, verdict: str) -> tuple[str, str]:
    """What became of the service token. The answer is not shown: it could repeat what was sent.

    https://developers.cloudflare.com/cloudflare-one/access-controls/service-credentials/service-tokens/
    """
    if verdict == "open" and status and status < 500:
        return "let in", ""
    if verdict == "guard":
        why = "is it in ALLOWED_SERVICE_TOKENS, is POLICY_AUD right?"
        return verdict, f"Access took the service token, the guard refused it: {why}"
    if verdict == "access":
        did = "refused the service token" if status in (401, 403) else "asks for a login"
        return verdict, f"Access {did}: it is wrong, expired, or in no Service Auth policy here."
    return "unreachable", "The service token got no clear answer."


def _ask(client: NewClient, url: httpx.URL, headers: dict[str, str]) -> Answer:
    """Send one request and wait for TIMEOUT in all, however little by little the answer comes.

    A thread that waits for longer ends with the process.
    """
    known = [Answer(why="It timed out")]
    sending = Thread(target=_send, args=(client, url, headers, known), daemon=True)
    sending.start()
    sending.join(TIMEOUT)
    return known[-1]


def _send(client: NewClient, url: httpx.URL, headers: dict[str, str], known: list[Answer]) -> None:
    """Add to `known` what is known of the answer. No redirect is followed, no long body read."""
    answer = Answer()
    try:
        with client() as new, new.stream("GET", url, headers=headers) as response:
            answer = Answer(response.status_code, response.headers)
            if url.scheme == "http" and PROXIED and not answer.at_cloudflare:
                known.append(Answer(why="A proxy may have answered instead"))
                return
            known.append(answer._replace(why="The answer did not end"))
            for piece in response.iter_raw():
                answer = answer._replace(body=answer.body + piece)
                if len(answer.body) > MOST:
                    break
        known.append(answer)
    except Exception as error:  # whatever it is, it must not end the thread unseen
        # With a proxy it could be the proxy's own name that is not known.
        no_name = f"[Errno {socket.EAI_NONAME}]" in str(error) and not PROXIED
        known.append(answer._replace(why=NO_NAME if no_name else plain(error) or "No answer"))


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


def _expected(config: Config, environment: str | None) -> Expected:
    """The guard's settings, or made-up ones while they are not set. Raises Problem."""
    unset, variables = Expected(), config.block(environment).settings.get("vars")
    if shape.EXPOSURE == "none" or not isinstance(variables, dict):
        return unset
    rules = guard_settings()
    try:
        settings = rules.load(variables)
    except rules.NotConfigured:
        return unset
    return Expected(
        settings.issuer.removeprefix("https://"),
        settings.audiences,
        min(filter(str.isascii, settings.emails - {"*"}), default=unset.email),
        min(settings.service_tokens - {"*"}, default=unset.client_id),
    )


def _service_token() -> dict[str, str]:
    """The headers of the service token in the environment, if there is one. Raises Problem."""
    names = ("CF_ACCESS_CLIENT_ID", "CF_ACCESS_CLIENT_SECRET")
    values = [os.environ.get(name, "").strip() for name in names]
    for name, value in zip(names, values, strict=True):
        if any(values) and not re.fullmatch(r"[!-~]+", value):
            raise Problem(f"{name} is empty or has a character that it cannot have")
    client_id, secret = values if shape.MACHINES else ("", "")
    return {"CF-Access-Client-Id": client_id, "CF-Access-Client-Secret": secret} if secret else {}


def _new_client() -> NewClient:
    """Makes a client. Raises Problem when a variable about certificates or a proxy is wrong."""
    headers = {"User-Agent": "private-worker-probe", "Accept-Encoding": "identity"}
    try:
        trusted = httpx.create_ssl_context()  # takes time, so all clients share it
        new = partial(httpx.Client, verify=trusted, timeout=TIMEOUT, headers=headers)
        new().close()
        return new
    except (OSError, ValueError, ImportError, httpx.InvalidURL):
        raise Problem("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or SSL_CERT_FILE is wrong") from None
