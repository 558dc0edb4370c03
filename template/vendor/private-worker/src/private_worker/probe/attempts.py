"""What is sent to an address: at most eight requests, as somebody who must not get in."""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from urllib.request import getproxies

import httpx

from ..project import Problem
from ..standin.team import SigningKey, Team
from ..text import plain
from .verdicts import NO_NAME, VERDICTS, Answer, Expected, judge
from .ways import Way

TIMEOUT = 10  # seconds for a request and all of its answer, however slowly the pieces come
MOST = 64 * 1024  # bytes of an answer's body
PROXIED = bool(getproxies().keys() & {"http", "https", "all"})
SERVICE_TOKEN = "service token"
PROTECT = "Put Access in front: npm run provision."
TURN_OFF = "Turn it off in the dashboard (Settings > Domains & Routes), or put Access in front."
HTTPS_ONLY = "Turn on Always Use HTTPS for the zone."
Requests = dict[str, dict[str, str]]  # the headers of each request
NewClient = Callable[[], httpx.AsyncClient]


class Result(NamedTuple):
    """An address. `attempts`: of each request its name, status, verdict and remark."""

    url: str
    source: str
    verdict: str
    hint: str
    attempts: list[dict[str, Any]]


def prepare(expected: Expected, humans: bool, token: dict[str, str]) -> Requests:
    """The headers of each request. All but the service token must be refused.

    The forged tokens say all the right things, but it is not Access that signed them.
    token: the headers of a service token, or nothing.
    """
    team = Team(SigningKey())
    team.team_domain = f"https://{expected.team or 'example.cloudflareaccess.com'}"
    team.skew, team.lasts = -5, 300  # in force already, also where the clock is a little behind

    def forged(aud: list[str], header: dict[str, Any] | None = None) -> dict[str, str]:
        if humans:
            return team.person(expected.email, header=header, aud=aud)
        return team.machine(expected.client_id, header=header, aud=aud)

    ours = sorted(expected.audiences)
    ((assertion, signed),) = forged(ours).items()
    unsigned = forged(ours, {**team.header(), "alg": "none"})[assertion]
    return {
        "anonymous": {},
        "unsigned token": {assertion: unsigned.rpartition(".")[0] + "."},  # RFC 7518 section 3.6
        "forged token": {assertion: signed},
        "wrong AUD": forged(["f" * 64]),
        "e-mail header": {"Cf-Access-Authenticated-User-Email": expected.email},
        "cookie": {"Cookie": f"CF_Authorization={signed}"},
        SERVICE_TOKEN: token,
        "http": {},
    }


async def attempt(way: Way, requests: Requests, client: NewClient, expected: Expected) -> Result:
    """Send the requests to one address, one after the other. The worst answer counts."""
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
        if name == "http":  # the last request
            if url.scheme == "http" or url.port:
                continue
            url = url.copy_with(scheme="http")
        answer = await _ask(client, url, headers)
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


async def _ask(new: NewClient, url: httpx.URL, headers: dict[str, str]) -> Answer:
    """What is known of the answer after TIMEOUT. No redirect is followed, no long body read."""
    answer = Answer(why="It timed out")
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            new() as client,
            client.stream("GET", url, headers=headers) as response,
        ):
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


def new_client() -> NewClient:
    """Makes a client for one request, so that no cookie and no connection is used again.

    Raises Problem when a variable about certificates or a proxy is wrong.
    """
    headers = {"User-Agent": "private-worker-probe", "Accept-Encoding": "identity"}
    try:
        trusted = httpx.create_ssl_context()  # takes time, so all clients share it
        new = partial(httpx.AsyncClient, verify=trusted, timeout=None, headers=headers)
        new()
        return new
    except (OSError, ValueError, ImportError, httpx.InvalidURL):
        raise Problem("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or SSL_CERT_FILE is wrong") from None
