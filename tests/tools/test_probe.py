"""`probe` against servers on loopback, which answer for every hostname."""

import datetime
import json
import os
import pty
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import json5
import pytest

import shapes
from cloudflare_api import Account, CloudflareApi, Json
from command_run import AUD, COMMAND, FILLED, environment, mind_ctrl_c, project, refused, run
from conftest import ROOT, Render
from probe_servers import (
    HANG,
    LOGIN,
    OTHER_KEY,
    RESET,
    TEAM,
    Behaviour,
    Reply,
    Seen,
    World,
    certs,
    claims,
    header,
    metadata,
)

pytestmark = pytest.mark.slow

HOST = "invoices.example.net"
CLIENT_ID = FILLED["allowed_service_tokens"]
EMAIL = FILLED["allowed_emails"]
SECRET = "_".join(["cfast", secrets.token_hex(24)])
TOKEN = {"CF_ACCESS_CLIENT_ID": CLIENT_ID, "CF_ACCESS_CLIENT_SECRET": SECRET}
KEPT = {"Content-Type": "application/json", "Cache-Control": "private, no-store"}
REFUSAL = '{"error":"forbidden"}'
CLOUDFLARE = {"Server": "cloudflare", "Content-Type": "text/plain"}
VERDICTS = ("access", "guard", "unreachable", "missing")
ATTEMPTS = [
    "anonymous",
    "unsigned token",
    "forged token",
    "wrong AUD",
    "e-mail header",
    "cookie",
    "http",
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def api() -> Iterator[CloudflareApi]:
    api = CloudflareApi()
    yield api
    api.close()


@pytest.fixture
def production(rendered: Render, tmp_path: Path) -> Path:
    return project(rendered, tmp_path, profile="production", **FILLED)


# Behaviours


def answer(
    status: int, body: str | bytes = "", headers: dict[str, str] | None = None
) -> Callable[[Seen], Reply]:
    raw = body if isinstance(body, bytes) else body.encode()
    return lambda seen: Reply(status, raw, headers or {"Content-Type": "text/html"})


def to(location: str, status: int = 302) -> Callable[[Seen], Reply]:
    return answer(status, "", {"Location": location})


def login(seen: Seen) -> Reply:
    """Access in front: whoever comes without its login is sent there, also over http."""
    if "cf-access-metadata-request" in seen.headers:
        return Reply(200, b"", {"Cf-Access-Metadata": metadata(seen.host, aud=AUD)})
    query = f"?kid={AUD}&redirect_url=%2F"
    return Reply(302, b"", {"Location": LOGIN + query, "Set-Cookie": "CF_AppSession=n0; Secure"})


def guard(status: int, error: str, **headers: str) -> Callable[[Seen], Reply]:
    return answer(status, json.dumps({"error": error}), {**KEPT, **headers})


forbidden = guard(403, "forbidden")


def but(lets_in: Callable[[Seen], bool]) -> Callable[[Seen], Reply]:
    """Access in front, with a way around it."""
    return lambda seen: Reply() if lets_in(seen) else login(seen)


def right(found: dict[str, Any]) -> bool:
    """Whether the claims are those of a person who may come in."""
    now = time.time()
    return (
        found.get("iss") == f"https://{TEAM}"
        and AUD in found.get("aud", [])
        and found.get("email") == EMAIL
        and found.get("type") == "app"
        and found["nbf"] <= now < found["exp"]
    )


def token_of(seen: Seen) -> str:
    return seen.headers.get("cf-access-jwt-assertion", "")


def unsigned(seen: Seen) -> bool:
    return header(token_of(seen)).get("alg") == "none" and right(claims(token_of(seen)))


def unverified(seen: Seen) -> bool:
    return header(token_of(seen)).get("alg") == "RS256" and right(claims(token_of(seen)))


def meant_for_another(seen: Seen) -> bool:
    found = claims(token_of(seen))
    return AUD not in found.get("aud", [AUD]) and right({**found, "aud": [AUD]})


def cookie_of(seen: Seen) -> str:
    return seen.headers.get("cookie", "").partition("CF_Authorization=")[2]


def https_to(host: str) -> Callable[[Seen], Reply]:
    """http is redirected to https of `host`, and https is closed."""
    return lambda seen: to(f"https://{host}/")(seen) if seen.scheme == "http" else login(seen)


def drip(status: int) -> Callable[[Seen], Reply]:
    """Without a login, an answer whose body does not end."""

    def pieces() -> Iterator[bytes]:
        while True:
            yield b'{"error": "forbidden"'
            time.sleep(0.1)

    def answered(seen: Seen) -> Reply:
        asked = {"cookie", "cf-access-jwt-assertion", "cf-access-authenticated-user-email"}
        anonymous = seen.scheme == "https" and not asked & set(seen.headers)
        return Reply(status, pieces(), dict(KEPT)) if anonymous else login(seen)

    return answered


def trickle(first: bytes, piece: bytes) -> Callable[[Seen], Reply]:
    """A head that does not end: no single wait is long, but all of them together."""

    def pieces() -> Iterator[bytes]:
        yield first
        while True:
            time.sleep(2)
            yield piece

    return lambda seen: Reply(before=pieces())


def flood(seen: Seen) -> Reply:
    def pieces() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    return Reply(200, pieces(), {"Content-Type": "text/plain"})


# Running


def configure(folder: Path, **settings: Any) -> None:
    """Change wrangler.jsonc. Its comments go."""
    path = folder / "wrangler.jsonc"
    path.write_text(json.dumps(json5.loads(path.read_text(encoding="utf-8")) | settings))


def domains(*hosts: str) -> list[Json]:
    return [{"pattern": host, "custom_domain": True, "enabled": True} for host in hosts]


def probe(folder: Path, world: World, *words: str, **env: str) -> tuple[int, Json, str]:
    """`probe --json`: exit status, what it prints as JSON, and what it says on stderr."""
    done = run(folder, "probe", "--json", *words, env={**world.env, **env})
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), done.stderr
    found: Json = json.loads(done.stdout)
    assert found["ok"] is (done.returncode == 0)
    return done.returncode, found, done.stderr


def by_host(found: Json) -> dict[str, Json]:
    return {row["url"].split("/")[2]: row for row in found["addresses"]}


def which(row: Json, verdict: str) -> list[str]:
    return [attempt["name"] for attempt in row["attempts"] if attempt["verdict"] == verdict]


def flat(text: str) -> str:
    return " ".join(text.split())


# The verdicts

ALL = ATTEMPTS
WITHOUT_HTTP = ATTEMPTS[:-1]
HTML = "<title>Forbidden</title>"


def challenge(name: str, scheme: str = "Cloudflare-Access ") -> str:
    path = ".well-known/cloudflare-access-protected-resource/"
    return f'{scheme}resource_metadata="https://{name}.example.org/{path}"'


# Host, what it does, the verdict for the address, which attempts got that verdict.
Case = tuple[str, Behaviour, str, list[str]]
CLOSED: list[Case] = [
    ("login", login, "access", ALL),
    ("login303", to(f"{LOGIN}?kid={AUD}", 303), "access", ALL),
    ("login-https", https_to("login-https.example.org"), "access", WITHOUT_HTTP),
    # An application for service tokens alone refuses and names itself.
    ("refused401", answer(401, "Unauthorized", {"CF-Access-Aud": AUD}), "access", ALL),
    ("refused403", answer(403, HTML, {"CF-ACCESS-AUD": AUD.upper()}), "access", ALL),
    ("to-scripts", answer(401, HTML, {"WWW-Authenticate": challenge("to-scripts")}), "access", ALL),
    # Only Managed OAuth (RFC 9728) says so in JSON.
    ("oauth", answer(401, '{"error":"invalid_token"}',
     {**KEPT, "www-authenticate": challenge("oauth", 'BEARER realm="OAuth", ')}), "access", ALL),
]  # fmt: skip
GUARDED: list[Case] = [
    ("guard", forbidden, "guard", ALL),
    ("compact", answer(403, REFUSAL, KEPT), "guard", ALL),
    # Access would not say that: it is missing, even if something changed the headers on the way.
    ("html", answer(403, REFUSAL, {"Content-Type": "text/html"}), "guard", ALL),
    ("not-configured", guard(500, "not_configured"), "guard", ALL),
    ("no-keys", guard(503, "keys_unavailable", **{"Retry-After": "5"}), "guard", ALL),
]
OPEN: list[Case] = [
    ("api", answer(200, '{"ok": true}', KEPT), "open", ALL),
    ("not-found", answer(404, '{"error":"not_found"}', KEPT), "open", ALL),
    ("failing", answer(500, '{"error":"internal_error"}', KEPT), "open", ALL),
    ("threw", answer(500, "error code: 1101", CLOUDFLARE), "open", ALL),
    ("not-the-status", answer(500, '{"error":"forbidden"}', KEPT), "open", ALL),
    ("teapot", answer(418), "open", ALL),
    # An API of its own that refuses at Cloudflare. JSON is the API's, whatever the headers are.
    ("json401", answer(401, '{"detail":"Not authenticated"}', KEPT), "open", ALL),
    ("json403", answer(403, '{"detail":"Forbidden"}', KEPT), "open", ALL),
    ("json-by-type", answer(403, "", {"Content-Type": "application/problem+JSON"}), "open", ALL),
    ("json-as-html", answer(403, ' \n{"error":1}', {"CF-Access-Aud": AUD}), "open", ALL),
    ("json-list", answer(401, "[1]", {"WWW-Authenticate": challenge("json-list")}), "open", ALL),
    ("oauth403", answer(403, "{}", {"WWW-Authenticate": challenge("oauth403", "Bearer ")}),
     "open", ALL),
    ("longer", answer(403, '{"error":"forbidden","a":1}', KEPT), "open", ALL),
    ("nested", answer(403, "[" * 60000, KEPT), "open", ALL),
    ("huge", answer(403, b'{"a":"' + b"x" * 10**6, {"CF-Access-Aud": AUD}), "open", ALL),
    # A page that looks like the login, at the API's own address.
    ("login-page", answer(200, f'<title>Sign in - Cloudflare Access</title><form action="{LOGIN}">',
     {"CF-Access-Domain": "login-page.example.org", "CF-Access-Aud": AUD}), "open", ALL),
    ("own-login", to("https://own-login.example.org/cdn-cgi/access/login/a"), "open", WITHOUT_HTTP),
    ("in-the-path", to(f"https://example.com/{TEAM}/cdn-cgi/access/login/a"), "open", ALL),
    ("in-the-query", to(f"https://example.com/?to={LOGIN}"), "open", ALL),
    ("no-dot", to("https://evilcloudflareaccess.com/cdn-cgi/access/login/a"), "open", ALL),
    ("below-the-team", to(f"https://a.{TEAM}/cdn-cgi/access/login/a"), "open", ALL),
    ("another-port", to(LOGIN.replace(TEAM, f"{TEAM}:8443")), "open", ALL),
    # Each way around Access on its own.
    ("unsigned", but(unsigned), "open", ["unsigned token"]),
    ("unverified", but(unverified), "open", ["forged token"]),
    ("any-aud", but(meant_for_another), "open", ["wrong AUD"]),
    ("e-mail", but(lambda s: s.headers.get("cf-access-authenticated-user-email") == EMAIL),
     "open", ["e-mail header"]),
    ("cookie", but(lambda s: right(claims(cookie_of(s)))), "open", ["cookie"]),
    ("http-only", but(lambda s: s.scheme == "http"), "open", ["http"]),
    ("no-tls-but-http", answer(200), "open", ["http"]),
    ("http-elsewhere", https_to("other.example.org"), "open", ["http"]),
    # Redirects that are no login of this team.
    ("elsewhere", to("https://example.com/"), "open", ALL),
    ("own-page", to("https://own-page.example.org/app", 301), "open", WITHOUT_HTTP),
    ("relative", to("/cdn-cgi/access/login/app"), "open", ALL),
    ("lookalike", to(f"https://{TEAM}.example.com/cdn-cgi/access/login/app"), "open", ALL),
    ("user-name", to(f"https://{TEAM}@example.com/cdn-cgi/access/login/app"), "open", ALL),
    ("plain-login", to(LOGIN.replace("https:", "http:")), "open", ALL),
    ("not-login", to(f"https://{TEAM}/cdn-cgi/access/loginx"), "open", ALL),
    ("moved", to(LOGIN, 301), "open", ALL),
    ("other-team", to(LOGIN.replace("acme-labs", "acme-lab")), "open", ALL),
    # What Cloudflare says is only believed word for word.
    ("not-cloudflares", answer(404, "error code: 1042", {"Server": "nginx"}), "open", WITHOUT_HTTP),
    ("1042-and-more", answer(404, "error code: 1042 or so", CLOUDFLARE), "open", ALL),
    ("1042-in-json", answer(404, "error code: 1042", CLOUDFLARE | KEPT), "open", ALL),
    ("1042-with-200", answer(200, "error code: 1042", CLOUDFLARE), "open", ALL),
    ("page-elsewhere", answer(404, "<h1>There is nothing here yet</h1>", CLOUDFLARE), "open", ALL),
    ("flood", flood, "open", ALL),
]  # fmt: skip
NOTHING: list[Case] = [
    ("off", answer(404, "error code: 1042\n", CLOUDFLARE), "nothing", ALL),
]
UNKNOWN: list[Case] = [
    # Refused at Cloudflare, but by whom?
    ("bare401", answer(401, "Unauthorized"), "unreachable", ALL),
    ("bare403", answer(403, HTML, {"CF-Ray": "0-ZRH"}), "unreachable", ALL),
    ("no-tag", answer(403, HTML, {"CF-Access-Aud": "1", "CF-Access-Domain": "a"}),
     "unreachable", ALL),
    ("bearer", answer(401, HTML, {"WWW-Authenticate": "Bearer realm=a"}), "unreachable", ALL),
    ("named", answer(401, HTML, {"WWW-Authenticate": "Cloudflare-Access"}), "unreachable", ALL),
    ("for-another", answer(401, HTML, {"WWW-Authenticate": challenge("x")}), "unreachable", ALL),
    # Whoever can answer in the Worker's place can also say 401.
    ("not-cloudflare", answer(401, "", {"Server": "nginx"}), "unreachable", ALL),
    ("no-server", answer(403, "", {"Server": "", "Cf-Access-Aud": AUD}), "unreachable", ALL),
    # Cloudflare's firewall refuses with a page that is not Access.
    ("blocked", answer(403, "<title>Attention Required! | Cloudflare</title>"), "unreachable",
     ALL),
    ("banned", answer(403, '<div id="cf-error-details" class="p">Error 1006</div>'),
     "unreachable", ALL),
    ("no-idna", to("https://xn--0.example.com/"), "unreachable", ["anonymous", "http"]),
    ("firewall", answer(403, "error code: 1010", CLOUDFLARE), "unreachable", ALL),
    ("challenge", answer(403, "<p>", {**CLOUDFLARE, "cf-mitigated": "c"}), "unreachable", ALL),
    ("resets", RESET, "unreachable", ["anonymous", "http"]),
    ("bad-tls", login, "unreachable", ["anonymous"]),
    ("no-route", "no route", "unreachable", ["anonymous", "http"]),
]  # fmt: skip


def urls(cases: list[Case], world: World) -> list[str]:
    words = []
    for name, behaviour, _, _ in cases:
        world.hosts[f"{name}.example.org"] = behaviour
        words += ["--url", f"https://{name}.example.org/"]
    return words


def test_every_answer_has_its_verdict(production: Path, world: World) -> None:
    cases = [*CLOSED, *GUARDED, *OPEN, *NOTHING, *UNKNOWN]
    world.distrusted = {"bad-tls.example.org", "no-tls-but-http.example.org"}
    status, found, _ = probe(production, world, *urls(cases, world))
    assert status == 1
    rows = by_host(found)
    for name, _, verdict, attempts in cases:
        row = rows[f"{name}.example.org"]
        assert row["verdict"] == verdict, row
        assert which(row, verdict) == attempts, row
        assert [attempt["name"] for attempt in row["attempts"]] in (ALL, ["anonymous", "http"]), row
        assert row["source"] == "--url"
    is_open = [f"https://{name}.example.org/" for name, _, verdict, _ in cases if verdict == "open"]
    assert found["open"] == is_open
    assert found["problems"][-1] == f"OPEN: {', '.join(is_open)}"
    # Hints say what a person needs.
    assert rows["cookie.example.org"]["hint"].startswith("open: cookie.")
    for name, part in {
        "other-team": "another team than TEAM_DOMAIN: acme-lab.cloudflareaccess.com",
        "elsewhere": "It redirects: example.com",
        "lookalike": "It redirects: acme-labs.cloudflareaccess.com.example.com",
        "flood": "It answered 200.",
        "http-only": "Always Use HTTPS",
        "guard": "Turn it off in the dashboard",
        "http-elsewhere": "open: http. Turn on Always Use HTTPS",
        "not-configured": "not_configured",
        "no-keys": "keys_unavailable",
        "bad-tls": "CERTIFICATE_VERIFY_FAILED",
        "firewall": "firewall",
        "blocked": "firewall",
        "not-cloudflare": "It is not Cloudflare that answers",
    }.items():
        assert part in rows[f"{name}.example.org"]["hint"], rows[f"{name}.example.org"]["hint"]
    # A handful of requests, and each for itself: the cookie that was set does not come back.
    for name, *_ in cases:
        seen = world.at(f"{name}.example.org")
        assert len(seen) <= 8
        assert all("CF_AppSession" not in one.headers.get("cookie", "") for one in seen)
        assert all("probe" in one.headers["user-agent"] for one in seen)
    # Only what was asked for is asked: no redirect is followed.
    assert {seen.host for seen in world.seen} == set(rows)


@pytest.mark.slow
def test_servers_that_take_their_time(production: Path, world: World) -> None:
    """An answer without an end is no refusal, and whatever starts with 200 is open.

    Ten seconds for each of two requests, and then the command ends: `run` waits a minute at most.
    """
    cases: list[Case] = [
        ("refusing", drip(403), "unreachable", ["anonymous"]),
        ("giving", drip(200), "open", ["anonymous"]),
        ("hangs", HANG, "unreachable", ["anonymous", "http"]),
        ("header", trickle(b"HTTP/1.1 200 Answer\r\n", b"X-A: b\r\n"), "unreachable",
         ["anonymous", "http"]),
        ("hints", trickle(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), "unreachable",
         ["anonymous", "http"]),
    ]  # fmt: skip
    configure(production, routes=[])
    urls(cases, world)

    def asked(name: str) -> Json:
        _, found, _ = probe(production, world, "--url", f"https://{name}.example.org/")
        return by_host(found)[f"{name}.example.org"]

    with ThreadPoolExecutor(len(cases)) as pool:  # each takes ten seconds and more
        rows = list(pool.map(asked, [name for name, *_ in cases]))
    for row, (_, _, verdict, attempts) in zip(rows, cases, strict=True):
        assert (row["verdict"], which(row, verdict)) == (verdict, attempts), row
    assert all("timed out" in row["hint"] for row in rows[2:])


@pytest.mark.parametrize(
    ("behaviour", "status", "says"),
    [
        (login, 0, "Closed"),
        (answer(401, "", {"CF-Access-Aud": AUD}), 0, "Closed"),
        (answer(401), 1, "Could not be tried, so not known to be closed: https://invoices.example"),
        (forbidden, 1, "Access is not in front, only the guard held: https://invoices.example.net/"),
        (RESET, 1, "Could not be tried, so not known to be closed: https://invoices.example.net/"),
        (NOTHING[0][1], 1, "Nothing is there, but should be"),
        (answer(200), 1, "OPEN: https://invoices.example.net/"),
    ],
    ids=["login", "401", "who", "guard", "resets", "nothing", "open"],
)  # fmt: skip
def test_the_summary_and_the_exit_status(
    production: Path, world: World, behaviour: Behaviour, status: int, says: str
) -> None:
    """Without --json, with an ASCII stdout and without colours: the last line sums it up."""
    world.hosts[HOST] = behaviour
    plain = {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    done = run(production, "probe", env={**world.env, **plain})
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stderr == "", "nothing to say, and no progress bar for a file"
    lines = done.stdout.splitlines()
    assert lines[-1].startswith(says)
    if "OPEN" in says:
        assert lines[0] == lines[-1]
    else:
        assert "OPEN" not in done.stdout
    assert done.stdout.isascii() and "\x1b" not in done.stdout
    assert "service token" not in done.stdout, "there is none to try"
    (row,) = [line for line in lines if line.endswith(f"https://{HOST}/ (custom domain)")]
    assert row.split()[0] in ("OPEN", *VERDICTS)
    # What was not looked at is said, and not called closed.
    for part in ("workers.dev: give --subdomain", "Version URLs", "forgotten"):
        assert any(line.startswith("Not tried") and part in line for line in lines), part


def test_names_that_dns_does_not_know(production: Path, tmp_path: Path) -> None:
    """No proxy here: a real lookup of a name that cannot exist (RFC 6761)."""
    configure(production, routes=[])
    words = ["probe", "--json", "--url", "https://probe.invalid/"]
    done = run(production, *words)
    (row,) = json.loads(done.stdout)["addresses"]
    with pytest.raises(socket.gaierror) as error:
        socket.getaddrinfo("probe.invalid", 443)
    # Without a resolver nothing is known about the name.
    known = error.value.errno == socket.EAI_NONAME
    expected = (0, "nothing") if known else (1, "unreachable")
    assert (done.returncode, row["verdict"]) == expected, done.stdout
    assert [attempt["name"] for attempt in row["attempts"]] == ["anonymous", "http"]
    # The same when it is the proxy that has no name: nothing is known about the address.
    done = run(production, *words, env={"HTTPS_PROXY": "http://proxy.invalid:3128"})
    (row,) = json.loads(done.stdout)["addresses"]
    assert (done.returncode, row["verdict"]) == (1, "unreachable"), done.stdout


def test_what_servers_say_cannot_change_the_terminal(production: Path, world: World) -> None:
    escape = "\x1b]0;owned\x07\x1b[31m[bold]red[/bold]"
    world.hosts["a.example.org"] = answer(200, f"<b>{escape}</b>", {"X-Note": escape})
    world.hosts["b.example.org"] = to(f"https://{escape}.example.com/")
    world.hosts["c.example.org"] = to(f"{LOGIN}?kid={escape}[/nosuchtag]")
    world.hosts["e.example.org"] = answer(403, "", {"Cf-Access-Aud": f"{escape}\xff"})
    world.hosts["d.example.org"] = to("https://[/bold].example.com\xff/")
    world.hosts[HOST] = login
    words = [w for name in "abcde" for w in ("--url", f"https://{name}.example.org/[bold]x[/bold]")]
    done = run(production, "probe", *words, env=world.env)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    for stream in (done.stdout, done.stderr):
        assert "\x1b" not in stream and "\x07" not in stream
    assert "a.example.org/[bold]x[/bold]" in done.stdout, "brackets are shown as they are"


def test_another_application_in_front(production: Path, world: World) -> None:
    """It is closed, but whoever logs in there is refused: its AUD is not in POLICY_AUD."""
    other = "ab" * 32
    configure(production, routes=domains("a.example.net", "b.example.net"))
    world.hosts["a.example.net"] = to(f"{LOGIN}?kid={other}")
    world.hosts["b.example.net"] = answer(403, "no", {"Cf-Access-Aud": other})
    status, found, _ = probe(production, world)
    assert status == 0
    for row in found["addresses"]:
        assert other in row["hint"] and "POLICY_AUD" in row["hint"]


def only(path: str, inside: Behaviour, outside: Behaviour = login) -> Callable[[Seen], Reply]:
    """One path is another's than the rest."""
    assert callable(inside) and callable(outside)
    return lambda seen: inside(seen) if seen.path.startswith(path) else outside(seen)


OTHER_LOGIN = to(f"{LOGIN}?kid={'ab' * 32}")
# What the account can have that opens, as it looks from outside: what answers, the path that is
# asked, the verdict and a part of the hint.
OPENS: dict[str, tuple[Behaviour, str, str, str]] = {
    "a-part-of-it-is-public": (forbidden, "/", "guard", "npm run provision"),
    "override-before-the-guard": (answer(200), "/", "open", "npm run provision"),
    "override-of-a-path": (only("/health", forbidden), "/health", "guard", "Turn it off"),
    "override-of-another-path": (only("/health", forbidden), "/", "access", ""),
    "bypass": (forbidden, "/", "guard", "npm run provision"),
    "bypass-on-workers.dev": (answer(200), "/", "open", "npm run provision"),
    "other-people-on-a-hostname": (
        OTHER_LOGIN,
        "/",
        "access",
        "Another Access application is in front",
    ),
    "path-in-front": (
        only("/admin", OTHER_LOGIN),
        "/admin",
        "access",
        "Another Access application",
    ),
    "bypass-on-a-path": (only("/admin", answer(200)), "/admin", "open", "Turn it off"),
    "everyone": (login, "/", "access", ""),
    "no-application": (forbidden, "/", "guard", "npm run provision"),
}


def test_the_page_says_what_it_looks_like_from_outside() -> None:
    """docs/reference/what-opens.md. What no request can tell from a login has `access` there."""
    page = (ROOT / "docs" / "reference" / "what-opens.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \|.* \| `(\w+)` \| – \|$", page, re.MULTILINE))
    seen = {name: verdict for name, (_, _, verdict, _) in OPENS.items()}
    known = {state: seen.get(state.replace(" ", "-"), "access") for state in rows}
    same = {
        "our own policy turned into bypass": "bypass",
        "public in part": "a-part-of-it-is-public",
    }
    same["bypass on a name beside the destinations"] = "bypass"
    assert rows == known | {state: seen[name] for state, name in same.items()}
    assert len(rows) > 20


def test_what_opens_in_the_account(production: Path, world: World) -> None:
    """Without a login nobody sees who may log in; whatever is let through is seen."""
    hosts = {name: f"{name}.example.net" for name in OPENS}
    words = []
    for name, (behaviour, path, *_) in OPENS.items():
        world.hosts[hosts[name]] = behaviour
        if path != "/":
            words += ["--url", f"https://{hosts[name]}{path}"]
    configure(production, routes=domains(*(hosts[name] for name in OPENS if OPENS[name][1] == "/")))
    status, found, _ = probe(production, world, *words)
    assert status == 1
    for name, (_, _, verdict, hint) in OPENS.items():
        row = by_host(found)[hosts[name]]
        assert row["verdict"] == verdict and hint in row["hint"], row
        assert bool(row["hint"]) == bool(hint), row


def test_a_static_asset_that_comes_before_the_guard(production: Path, world: World) -> None:
    """Cloudflare serves it itself, unless the Worker runs first: Access and the guard are right."""
    for name in (".hidden", ".well-known/a", "_headers", "_redirects", "ü %41.css", "z/app.css"):
        path = production / "public" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    elsewhere = [f"{host}.example.net/z/*" for host in ("below", "closed")]
    assets = {"directory": "./public", "binding": "ASSETS", "run_worker_first": True}
    routes = [*domains(HOST, "guarded.example.net"), *elsewhere, "none.example.net/other/*"]
    configure(production, routes=routes, assets=assets)
    world.hosts = {
        HOST: lambda seen: login(seen) if seen.path == "/" else Reply(200, b"a {}"),
        "guarded.example.net": lambda seen: login(seen) if seen.path == "/" else forbidden(seen),
        "below.example.net": lambda seen: Reply() if "app.css" in seen.path else login(seen),
        "closed.example.net": login,
        "none.example.net": login,
    }
    status, found, _ = probe(production, world)
    rows = by_host(found)
    assert status == 1
    assert found["open"] == [f"https://{HOST}/", "https://below.example.net/z/"]
    for host, row in rows.items():
        tried = [attempt["name"] for attempt in row["attempts"]]
        assert tried.count("static asset") == (host != "none.example.net")
    assert which(rows[HOST], "open") == which(rows["below.example.net"], "open") == ["static asset"]
    assert "run_worker_first" in rows[HOST]["hint"] and "provision" not in rows[HOST]["hint"]
    assert which(rows["guarded.example.net"], "guard") == ["static asset"]
    assert rows["closed.example.net"]["verdict"] == rows["none.example.net"]["verdict"] == "access"
    # It is one that is there, below the address, and nobody proves anything.
    asked = [seen for seen in world.seen if seen.path not in ("/", "/z/", "/other/")]
    assert {seen.path for seen in asked} == {"/z/app.css"} and len(asked) == 4
    assert not any("cookie" in seen.headers or token_of(seen) for seen in asked)
    assert {seen.scheme for seen in asked} == {"https"}
    (production / "public" / "z" / "app.css").unlink()  # what its name holds is no more than a name
    world.seen.clear()
    probe(production, world)
    assert [one.path for one in world.at(HOST) if one.path != "/"] == ["/%C3%BC%20%2541.css"]


def test_no_static_assets(production: Path, world: World) -> None:
    """Without a folder of files there is nothing to ask for, and that is no error here."""
    world.hosts[HOST] = login
    given: list[object] = [{"directory": "nowhere"}, {"binding": "ASSETS"}, {"directory": 1}, []]
    for assets in given:
        configure(production, assets=assets)
        status, found, _ = probe(production, world)
        assert status == 0 and which(by_host(found)[HOST], "access") == ATTEMPTS


# The service token


def edge(behind: Callable[[Seen], Reply], refused: Callable[[Seen], Reply] = login) -> Any:
    """Access that knows the service token."""

    def answered(seen: Seen) -> Reply:
        if "cf-access-client-id" not in seen.headers:
            return login(seen)
        given = (seen.headers["cf-access-client-id"], seen.headers["cf-access-client-secret"])
        return behind(seen) if given == (CLIENT_ID, SECRET) else refused(seen)

    return answered


def with_token(reply: Callable[[Seen], Reply]) -> Any:
    return lambda seen: reply(seen) if "cf-access-client-id" in seen.headers else login(seen)


SENT: dict[str, tuple[Behaviour, str, str]] = {
    "in": (edge(answer(200, '{"ok": true}')), "let in", ""),
    "no-such-page": (edge(answer(404)), "let in", ""),
    "moved": (edge(to("https://elsewhere.example.org/")), "let in", ""),
    "refused-in-json": (
        edge(answer(403, '{"detail":"no"}', KEPT)),
        "unreachable",
        "no clear answer",
    ),
    "broken": (edge(answer(500, "oops", KEPT)), "unreachable", "no clear answer"),
    "wrong-secret": (with_token(answer(401)), "access", "Access refused the service token"),
    "no-policy": (with_token(answer(403)), "access", "Service Auth policy"),
    "asked-to-log-in": (login, "access", "asks for a login"),
    "not-the-guards": (edge(forbidden), "guard", "the guard refused it"),
    "unset": (edge(guard(500, "not_configured")), "guard", "it answered 500, and its log says why"),
}


def copied(signed: str, reply: Callable[[Seen], Reply] = login) -> Callable[[Seen], Reply]:
    """A server of somebody else's that copies each answer of Access but one, which it cannot."""

    def answered(seen: Seen) -> Reply:
        if "cf-access-metadata-request" in seen.headers:
            return Reply(200, b"", {"Cf-Access-Metadata": signed} if signed else {})
        return reply(seen)

    return answered


DAY = 24 * 3600
# What such a server could have instead of Access's signature about itself.
UNPROVED: dict[str, Callable[[str], str]] = {
    "nothing": lambda host: "",
    "garbage": lambda host: "x" * 30000,
    "no-signature": lambda host: metadata(host, aud=AUD).rpartition(".")[0] + ".",
    "own-key": lambda host: metadata(host, OTHER_KEY, aud=AUD),
    "of-another-host": lambda host: metadata("other.example.net", aud=AUD),
    "of-another-application": lambda host: metadata(host, aud="ab" * 32),
    "of-another-team": lambda host: metadata(host, aud=AUD, auth_domain="m.cloudflareaccess.com"),
    "of-a-login": lambda host: metadata(host, aud=AUD, type="app"),
    "kept-for-a-day": lambda host: metadata(host, aud=AUD, iat=int(time.time()) - DAY - 60),
    "from-tomorrow": lambda host: metadata(host, aud=AUD, iat=int(time.time()) + DAY),
    "not-claims": lambda host: metadata(host, aud=None, iat="now", hostname=1),
}
NOT_SENT: dict[str, Behaviour] = {
    "json": copied("", answer(403, '{"detail":"no"}', {"CF-Access-Aud": AUD})),
    "bare": answer(403, HTML),
    "open-to-cookies": but(lambda seen: "cookie" in seen.headers),
    "open-to-forgers": but(unverified),
    "only-guard": forbidden,
    "open": answer(200),
    "other-team": to(LOGIN.replace("acme-labs", "mallory")),
    "off": NOTHING[0][1],
    "unreachable": RESET,
    "not-cloudflare": answer(401, "", {"Server": "nginx"}),
    "blocked": answer(403, "<p class=cf-error-details>"),
}


def test_the_service_token_gets_in(production: Path, world: World) -> None:
    world.hosts[HOST] = edge(answer(200, '{"ok": true}'))
    world.hosts["more.example.org"] = login
    words = ["--url", "https://more.example.org/", "--url", "https://more.example.org:8443/"]
    status, found, errors = probe(production, world, *words, **TOKEN)
    assert status == 0, found
    names = [attempt["name"] for attempt in by_host(found)["more.example.org:8443"]["attempts"]]
    assert names == WITHOUT_HTTP, "another port speaks no plain http"
    assert which(by_host(found)[HOST], "let in") == ["service token"]
    assert by_host(found)[HOST]["verdict"] == "access"
    assert [seen.method for seen in world.at(HOST)].count("HEAD") == 1
    assert len(world.at(HOST)) == 10  # one of them as an agent asks
    # Only where wrangler.jsonc says that this Worker answers, and never without TLS.
    got = [seen for seen in world.seen if SECRET in str(seen)]
    assert [(seen.host, seen.scheme) for seen in got] == [(HOST, "https")]
    assert SECRET not in json.dumps(found) + errors
    done = run(production, "probe", env=world.env | TOKEN)
    assert "The service token got in." in done.stdout.splitlines()


def test_two_values_that_are_mixed_up(production: Path) -> None:
    client_id, secret = TOKEN.values()
    mixed = {"CF_ACCESS_CLIENT_ID": secret, "CF_ACCESS_CLIENT_SECRET": client_id}
    refused(run(production, "probe", env=mixed), "CF_ACCESS_CLIENT_SECRET is a Client ID")


def test_who_refused_the_service_token(production: Path, world: World) -> None:
    world.hosts |= {f"{name}.example.net": behaviour for name, (behaviour, *_) in SENT.items()}
    world.hosts |= {f"{name}.example.net": behaviour for name, behaviour in NOT_SENT.items()}
    names = [f"{name}.example.net" for name in [*SENT, *NOT_SENT]]
    configure(production, routes=domains(*names))
    status, found, errors = probe(production, world, **TOKEN)
    rows = by_host(found)
    assert status == 1 and "The service token did not get in." in found["problems"]
    for name, (_, verdict, hint) in SENT.items():
        row = rows[f"{name}.example.net"]
        assert {a["name"]: a["verdict"] for a in row["attempts"]}["service token"] == verdict, row
        assert hint in row["hint"] and bool(row["hint"]) == bool(hint), row
        assert row["verdict"] == "access", "the token's outcome is not the address's"
    for name in NOT_SENT:
        assert SECRET not in str(world.at(f"{name}.example.net")), name
    assert world.at("elsewhere.example.org") == []
    assert SECRET not in json.dumps(found) + errors


def test_the_secret_goes_only_where_access_has_signed(production: Path, world: World) -> None:
    """Each server looks like Access, for whoever believes headers and a redirect."""
    for name, signed in UNPROVED.items():
        host = f"{name}.example.net"
        world.hosts[host] = copied(signed(host))
    refused403 = answer(403, HTML, {"CF-Access-Aud": AUD})
    world.hosts["no-redirect.example.net"] = copied("", refused403)
    hosts = list(world.hosts)
    configure(production, routes=domains(*hosts))
    status, found, errors = probe(production, world, **TOKEN)
    assert status == 1 and found["problems"] == [
        "The service token was not tried: Access has not proved that it is there."
    ]
    for host in hosts:
        row = by_host(found)[host]
        assert row["verdict"] == "access", "nothing shows more to somebody without the secret"
        assert (
            row["hint"]
            == "Access did not prove that it is in front, so the service token was not sent."
        )
        assert which(row, "unreachable") == ["service token"]
    assert SECRET not in str(world.seen) + json.dumps(found) + errors
    # Somebody who asks for it gets in at one of them, and that is not enough.
    world.hosts[hosts[0]] = edge(answer(200))
    status, found, _ = probe(production, world, **TOKEN)
    assert status == 1 and which(by_host(found)[hosts[0]], "let in") == ["service token"]
    assert [seen.host for seen in world.seen if SECRET in str(seen)] == [hosts[0]]


@pytest.mark.parametrize(
    "keys",
    [
        answer(503),
        answer(200, "{}"),
        answer(200, "[" * 10000),
        answer(200, '{"keys":1}'),
        flood,
        RESET,
    ],
    ids=["down", "empty", "nested", "wrong", "flood", "resets"],
)
def test_without_the_keys_nothing_is_proved(
    production: Path, world: World, keys: Behaviour
) -> None:
    world.hosts = {HOST: edge(answer(200)), TEAM: keys}
    status, found, _ = probe(production, world, **TOKEN)
    assert status == 1 and SECRET not in str(world.seen)
    assert "was not sent" in by_host(found)[HOST]["hint"]
    world.hosts[TEAM] = certs
    assert probe(production, world, **TOKEN)[0] == 0


DEPLOYED = "ALLOWED_SERVICE_TOKENS lists it. Is that deployed? npx wrangler tail shows the reason."
HIDES = (
    f"{DEPLOYED} If that is not_allowed, Access on the whole Worker hides which program it is. "
    "Type: uvx copier update --vcs-ref=:current: --defaults --data access_scope=hostname, "
    "and follow docs/SETUP.md again."
)
UNLISTED = "its Client ID is not in ALLOWED_SERVICE_TOKENS. Add it there, then deploy."


@pytest.mark.parametrize(
    ("scope", "listed", "says"),
    [
        ("worker", [CLIENT_ID], HIDES),
        ("worker", ["0123456789abcdef0123456789abcdef.access"], UNLISTED),
        ("worker", ["*"], DEPLOYED),  # then a program needs no name
        ("hostname", [CLIENT_ID], DEPLOYED),
        ("hostname", ["0123456789abcdef0123456789abcdef.access"], UNLISTED),
    ],
)
def test_why_the_guard_refused_the_service_token(
    rendered: Render, world: World, tmp_path: Path, scope: str, listed: list[str], says: str
) -> None:
    """Its 403 is always the same, so what the settings say tells one reason from the others."""
    folder = project(rendered, tmp_path, profile="production", access_scope=scope, **FILLED)
    settings = json5.loads((folder / "wrangler.jsonc").read_text(encoding="utf-8"))["vars"]
    configure(folder, vars={**settings, "ALLOWED_SERVICE_TOKENS": listed})
    world.hosts[HOST] = edge(forbidden)
    status, found, _ = probe(folder, world, **TOKEN)
    refused = f"Access took the service token, the guard refused it: {says}"
    assert (status, by_host(found)[HOST]["hint"]) == (1, refused)


def test_a_secret_that_is_repeated(production: Path, world: World) -> None:
    """Answers that show what they were sent are not shown."""
    other = {**TOKEN, "CF_ACCESS_CLIENT_ID": "ffff.access"}
    world.hosts[HOST] = with_token(guard(403, "forbidden", **{"X-Seen": SECRET}))
    done = run(production, "probe", env={**world.env, **other})
    assert done.returncode == 1
    assert UNLISTED in done.stdout
    assert done.stdout.splitlines()[-1] == "The service token did not get in."
    assert SECRET not in done.stdout + done.stderr
    world.hosts[HOST] = with_token(to(f"https://{SECRET}.example.com/{SECRET}"))
    _, found, errors = probe(production, world, **TOKEN)
    assert which(by_host(found)[HOST], "let in") == ["service token"]
    assert SECRET not in json.dumps(found) + errors


def test_a_worker_without_machines_gets_no_service_token(
    rendered: Render, world: World, tmp_path: Path
) -> None:
    answers = {name: FILLED[name] for name in ("team_domain", "policy_aud", "allowed_emails")}
    folder = project(rendered, tmp_path, profile="personal", **answers)
    world.hosts["my-api.acme.workers.dev"] = login
    status, found, _ = probe(folder, world, "--subdomain", "acme", **TOKEN)
    assert status == 0 and SECRET not in str(world.seen)
    assert by_host(found)["my-api.acme.workers.dev"]["source"] == "workers.dev"


def test_tokens_of_a_worker_for_machines_only(
    rendered: Render, world: World, tmp_path: Path
) -> None:
    """The forged tokens say that they are an allowed machine, and a route is asked at its path."""
    shape = shapes.of_interest()["machines-on-a-route"]
    folder = project(rendered, tmp_path, **shapes.answers(shape))
    world.hosts["www.example.net"] = login
    status, found, _ = probe(folder, world)
    assert status == 0, found
    assert [row["url"] for row in found["addresses"]] == ["https://www.example.net/invoices/"]
    forged = [claims(token_of(seen)) for seen in world.seen if token_of(seen)]
    assert [one["common_name"] for one in forged] == list(shapes.CLIENT_IDS) * 3
    assert all(one["sub"] == "" and "email" not in one for one in forged)


def test_forged_tokens_of_a_whole_domain(production: Path, world: World) -> None:
    """They name somebody of the domain, whom a guard that believed them would let in."""
    variables = json5.loads((production / "wrangler.jsonc").read_text(encoding="utf-8"))["vars"]
    configure(production, vars={**variables, "ALLOWED_EMAILS": ["@staff.example.org"]})
    world.hosts[HOST] = login
    status, found, _ = probe(production, world)
    assert status == 0, found
    names = [claims(token_of(seen))["email"] for seen in world.seen if token_of(seen)]
    assert len(names) == 3 and {name.partition("@")[2] for name in names} == {"staff.example.org"}
    assert all(name.partition("@")[0] for name in names)


# Finding the addresses


def test_addresses_of_wrangler_jsonc(production: Path, world: World) -> None:
    configure(
        production,
        routes=[
            *domains("a.example.net"),
            {"pattern": "b.example.net", "custom_domain": True, "enabled": False},
            {"pattern": "c.example.net/api/*", "zone_name": "example.net"},
            "*.d.example.net/*",
            "*e.example.net/x*",
            "https://f.example.net/Path",
            "*.example.*/x",
            "a.example.net/",
        ],
        env={"staging": {"routes": ["s.example.net/*"], "workers_dev": True, "vars": {}}},
    )
    world.hosts = {
        "b.example.net": NOTHING[0][1],
        "private-worker-probe.d.example.net": NOTHING[0][1],
    }
    _, found, _ = probe(production, world, "--subdomain", "acme")
    addresses = {row["url"]: row["source"] for row in found["addresses"]}
    assert addresses == {
        "https://a.example.net/": "custom domain",
        "https://b.example.net/": "custom domain",
        "https://c.example.net/api/": "route",
        "https://private-worker-probe.d.example.net/": "route",
        "https://e.example.net/x": "route",
        "https://f.example.net/Path": "route",
        "https://my-api.acme.workers.dev/": "workers.dev",
    }
    assert by_host(found)["b.example.net"]["verdict"] == "nothing", "it is off"
    # Nobody configured this name, so it says nothing about those that are there.
    row = by_host(found)["private-worker-probe.d.example.net"]
    assert row["verdict"] == "unreachable" and "wildcard" in row["hint"]
    assert by_host(found)["a.example.net"]["verdict"] == "unreachable"
    said = " | ".join(found["not_tried"])
    for part in (
        "*.example.*/x",
        "Previews",
        "Version URLs",
        "other names under *.d.example.net/*: give each with --url",
        "other names under *e.example.net/x*: give each with --url",
    ):
        assert part in said
    world.hosts["my-api-staging.acme.workers.dev"] = NOTHING[0][1]
    world.hosts["s.example.net"] = login
    words = ["--env", "staging", "--subdomain", "acme"]
    _, found, _ = probe(production, world, *words, **TOKEN)
    addresses = {row["url"]: row["source"] for row in found["addresses"]}
    assert addresses == {
        "https://s.example.net/": "route",
        "https://my-api-staging.acme.workers.dev/": "workers.dev",
    }
    assert "Previews" in " | ".join(found["not_tried"])
    assert any("a setting is missing" in problem for problem in found["problems"])
    # Nothing shows whose login that is, so the secret stays here, and that is no success.
    assert SECRET not in str(world.seen)
    assert (
        "The service token was not tried: Access has not proved that it is there."
        in found["problems"]
    )


def test_a_setting_that_is_missing(production: Path, world: World) -> None:
    """Any team's login would count as ours, so a login alone is no success."""
    path = production / "wrangler.jsonc"
    settings = json5.loads(path.read_text(encoding="utf-8"))["vars"]
    configure(production, vars={**settings, "TEAM_DOMAIN": ""})
    world.hosts[HOST] = to(LOGIN.replace("acme-labs", "mallory"))
    status, found, _ = probe(production, world)
    assert (status, by_host(found)[HOST]["verdict"]) == (1, "access")
    (problem,) = found["problems"]
    assert "a setting is missing" in problem and "npm run check" in problem


def test_an_address_that_is_off_must_be_nothing(production: Path, world: World) -> None:
    """workers.dev is off in wrangler.jsonc, but answers: it is found, and what to do is said."""
    world.hosts[HOST] = login
    world.hosts["my-api.acme.workers.dev"] = forbidden
    status, found, _ = probe(production, world, "--subdomain", "acme")
    assert status == 1
    assert "Turn it off" in by_host(found)["my-api.acme.workers.dev"]["hint"]
    said = json.dumps({"detail": "There is nothing here yet"})  # by an API, not by Cloudflare
    world.hosts["my-api.acme.workers.dev"] = answer(404, said, CLOUDFLARE)
    assert probe(production, world, "--subdomain", "acme")[1]["open"] == [
        "https://my-api.acme.workers.dev/"
    ]
    page = "<h1>There is nothing here yet</h1>"
    world.hosts["my-api.acme.workers.dev"] = answer(404, page, CLOUDFLARE)
    status, found, _ = probe(production, world, "--subdomain", "acme")
    assert (status, by_host(found)["my-api.acme.workers.dev"]["verdict"]) == (0, "nothing")


def with_api(api: CloudflareApi, world: World) -> dict[str, str]:
    return {**world.env, "CLOUDFLARE_API_TOKEN": api.token, "CLOUDFLARE_BASE_URL": api.url}


def deployed(api: CloudflareApi) -> tuple[Account, Json, str]:
    """An account with this Worker, deployed and on its custom domain."""
    account = api.account()
    worker = api.worker(account, "my-api")
    zone = api.zone(account, "example.net")
    api.domain(account, zone, HOST, "my-api")
    api.domain(account, zone, "other.example.net", "another-worker")
    return account, worker, account.versions["my-api"][0]["id"]


def test_the_api_finds_what_nobody_remembers(
    production: Path, world: World, api: CloudflareApi
) -> None:
    account, worker, version = deployed(api)
    zones = [api.zone(account, f"zone{number}.example") for number in range(4)]
    api.domain(account, zones[0], "forgotten.zone0.example", "my-api")
    api.route(zones[3], "last.zone3.example/api/*", "my-api")
    api.route(zones[3], "other.zone3.example/*", "another-worker")
    api.route(zones[3], "none.zone3.example/*", None)
    worker["subdomain"] |= {"enabled": True, "previews_enabled": True}
    version_host = f"{version[:8]}-my-api.acme.workers.dev"
    world.hosts = {
        HOST: login,
        "forgotten.zone0.example": forbidden,
        "last.zone3.example": answer(200),
        "my-api.acme.workers.dev": login,
        version_host: login,
    }
    # A filter that is not honoured does not lead to other Workers.
    everything = {"success": True, "errors": [], "messages": [], "result": account.domains}
    api.fail("GET", "/workers/domains", 200, body=json.dumps(everything).encode(), times=9)
    done = run(production, "probe", "--json", env=with_api(api, world))
    assert done.returncode == 1 and done.stderr == "", done.stderr
    found = json.loads(done.stdout)
    addresses = {row["url"]: (row["source"], row["verdict"]) for row in found["addresses"]}
    assert addresses == {
        f"https://{HOST}/": ("custom domain", "access"),
        "https://forgotten.zone0.example/": ("custom domain", "guard"),
        "https://last.zone3.example/api/": ("route", "open"),
        "https://my-api.acme.workers.dev/": ("workers.dev", "access"),
        f"https://{version_host}/": ("Version URL", "access"),
    }
    assert found["open"] == ["https://last.zone3.example/api/"]
    previews, routes = found["not_tried"]
    assert "Previews" in previews and "zones that the API token does not see" in routes
    assert api.writes == [] and api.token not in done.stdout + done.stderr
    assert api.token not in str(world.seen)


def test_all_is_off_but_the_custom_domain(
    production: Path, world: World, api: CloudflareApi
) -> None:
    """Off is tried as well. With the service token that gets in, everything is proven."""
    account, _, version = deployed(api)
    off = NOTHING[0][1]
    world.hosts = {
        HOST: edge(answer(200)),
        "my-api.acme.workers.dev": off,
        f"{version[:8]}-my-api.acme.workers.dev": off,
    }
    done = run(production, "probe", env={**with_api(api, world), **TOKEN})
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(world.at(host) for host in world.hosts)
    # But for the zones of others, which no token shows.
    assert done.stdout.count("Not tried") == 1 and done.stderr == ""
    assert "zones that the API token does not see" in done.stdout
    assert done.stdout.splitlines()[-1] == "Closed, as far as it was tried (addresses: 3)."
    assert len(world.seen) <= 9 * len(world.hosts)
    # A route of wrangler.jsonc can have Previews of its own, and a wildcard has other names.
    routes = [{**domains(HOST)[0], "previews_enabled": True}]
    configure(production, routes=routes)
    zone = next(zone for zone in api.zones.values() if zone["name"] == "example.net")
    api.route(zone, "*.example.net/*", "my-api")
    world.hosts["private-worker-probe.example.net"] = off
    done = run(production, "probe", env={**with_api(api, world), **TOKEN})
    assert done.returncode == 1, "whether the wildcard is closed is not known"
    for part in ("Previews", "other names under *.example.net/*: give each with --url"):
        assert part in done.stdout


def test_a_worker_that_should_have_no_address(
    rendered: Render, world: World, api: CloudflareApi, tmp_path: Path
) -> None:
    folder = project(rendered, tmp_path, profile="internal")
    refused(run(folder, "probe", env=world.env), "no address to try", "CLOUDFLARE_API_TOKEN")
    account = api.account()
    account.subdomain = None
    api.worker(account, "my-api")
    done = run(folder, "probe", env=with_api(api, world))
    assert (done.returncode, world.seen) == (0, []), done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("tried (addresses: 0).")
    for source in ("workers.dev", "Version URL"):
        assert f"closed: {source}: " in done.stdout
    account.subdomain, account.versions = "acme", {}
    worker = api.worker(account, "my-api")
    host = "my-api.acme.workers.dev"
    version = f"{account.versions['my-api'][0]['id'][:8]}-{host}"
    world.hosts = {host: NOTHING[0][1], version: NOTHING[0][1]}
    done = run(folder, "probe", env=with_api(api, world))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the API token does not see (it sees none)" in done.stdout
    worker["subdomain"]["enabled"] = True
    world.hosts[host] = forbidden
    done = run(folder, "probe", env=with_api(api, world))
    assert done.returncode == 1 and "Turn it off" in done.stdout
    assert "provision" not in done.stdout


def test_a_zone_that_cannot_be_read(production: Path, world: World, api: CloudflareApi) -> None:
    """It is named once with the reason, the rest is tried, and that is no success."""
    account, *_ = deployed(api)
    closed, broken = api.zone(account, "closed.example"), api.zone(account, "broken.example")
    api.route(api.zone(account, "last.example"), "last.example/*", "my-api")
    world.hosts = {host: login for host in (HOST, "last.example", "my-api.acme.workers.dev")}
    world.hosts[f"{account.versions['my-api'][0]['id'][:8]}-my-api.acme.workers.dev"] = login
    assert run(production, "probe", env=with_api(api, world)).returncode == 0
    api.fail("GET", f"/zones/{closed['id']}/", 403, times=9)
    api.fail("GET", f"/zones/{broken['id']}/", 403, times=9)
    done = run(production, "probe", env=with_api(api, world))
    assert done.returncode == 1 and done.stderr == "", done.stderr
    assert "access      https://last.example/ (route)" in done.stdout.splitlines()
    (said,) = [line for line in done.stdout.splitlines() if "closed.example" in line]
    assert said.startswith("Not known to be closed: routes in closed.example")
    assert "broken.example" in said and "Workers Routes: Read" in said


def test_a_worker_without_a_deployment(production: Path, world: World, api: CloudflareApi) -> None:
    account, *_ = deployed(api)
    account.deployments["my-api"] = []
    world.hosts = {HOST: login, "my-api.acme.workers.dev": NOTHING[0][1]}
    done = run(production, "probe", env=with_api(api, world))
    assert "Version URL: my-api has no deployment" in done.stdout, done.stdout + done.stderr
    assert "cannot be made into an address" not in done.stdout


def test_service_tokens_that_end(production: Path, world: World, api: CloudflareApi) -> None:
    """People are told in time, for the tokens that are let in and the one that was given."""
    account, *_ = deployed(api)
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)

    def token(name: str, client_id: str, end: datetime.datetime | None, **fields: Any) -> None:
        made = {"id": name, "name": name, "client_id": client_id, "enabled": True, **fields}
        made["expires_at"] = end and end.isoformat().replace("+00:00", "Z")
        account.service_tokens[name] = made

    def warned() -> list[str]:
        status, found, _ = probe(production, world, **with_api(api, world), **given)
        assert found["problems"] == [] and status == 0, "it is still as closed as it was"
        warnings: list[str] = found["warnings"]
        return warnings

    world.hosts = {HOST: edge(answer(200)), "my-api.acme.workers.dev": NOTHING[0][1]}
    world.hosts[f"{account.versions['my-api'][0]['id'][:8]}-my-api.acme.workers.dev"] = NOTHING[0][
        1
    ]
    given: dict[str, str] = {}
    for end in (None, now + 31 * day):
        token("robot", CLIENT_ID, end)
        assert warned() == []
    token("somebody else's", "ffff.access", now - day)
    token("robot", CLIENT_ID, now + 20 * day + day / 2)
    (said,) = warned()
    assert f"{now + 20 * day + day / 2:%Y-%m-%d}" in said and "days left: 20" in said
    assert "npm run provision -- --renew robot" in said
    done = run(production, "probe", env=with_api(api, world))
    assert f"Warning: {said}" in done.stdout.splitlines()
    token("robot", CLIENT_ID, now - day)
    (said,) = warned()
    assert "ended" in said and "--renew robot" in said
    token("robot", CLIENT_ID, now + 99 * day, enabled=False)
    (said,) = warned()
    assert "switched off" in said
    api.denied = {"/access/service_tokens"}
    (said,) = warned()
    assert "Access: Service Tokens: Read" in said


def test_errors_of_the_api(production: Path, world: World, api: CloudflareApi) -> None:
    """What cannot be asked is never taken for closed: exit 2, and nothing was tried."""
    account, *_ = deployed(api)
    env = with_api(api, world)
    worker = account.workers.pop("my-api")
    refused(run(production, "probe", env=env), "HTTP 404", "is my-api deployed")
    account.workers["my-api"] = worker
    api.denied = {"/workers/domains"}
    refused(run(production, "probe", env=env), "Workers Scripts")
    api.denied = set()
    api.fail("GET", "/workers/workers/", 200, body=b'{"success": true, "result": [1]}', times=9)
    refused(run(production, "probe", env=env), "Cloudflare's answer")
    nobody = {**env, "CLOUDFLARE_BASE_URL": "http://127.0.0.1:9/client/v4"}
    refused(run(production, "probe", env=nobody), "cannot connect")
    api.account("Second")
    refused(run(production, "probe", env=env), "--account-id")
    assert world.seen == []


# A careful command-line tool


def test_wrong_options_and_variables(production: Path, world: World) -> None:
    for words, parts in {
        ("--url", "http://example.org/"): ["--url http://example.org/", "https://"],
        ("--url", "example.org"): ["--url example.org", "https://"],
        ("--url", "https://ann:pw@example.org/"): ["--url"],
        ("--url", "https://exa mple.org/"): ["--url"],
        ("--url", f"https://{'a' * 64}.example.org/"): ["--url"],
        ("--url", "https://example..org/"): ["--url"],
        ("--url", "https://"): ["--url", "HOSTNAME"],
        ("--url", "http://xn--0.example/"): ["--url"],
        ("--url", "https://xn--0.example/"): ["--url"],
        ("--url", "https://example.org:99999/"): ["--url"],
        ("--subdomain", "a.b"): ["--subdomain"],
        ("--env", "nowhere"): ["--env nowhere"],
    }.items():
        refused(run(production, "probe", *words, env=world.env), *parts)
    for env, part in (
        ({"CF_ACCESS_CLIENT_ID": CLIENT_ID}, "CF_ACCESS_CLIENT_SECRET"),
        ({**TOKEN, "CF_ACCESS_CLIENT_SECRET": "two\nlines"}, "CF_ACCESS_CLIENT_SECRET"),
        ({"SSL_CERT_FILE": "/nowhere/ca.pem"}, "SSL_CERT_FILE"),
        ({"HTTPS_PROXY": "ftp://127.0.0.1"}, "HTTPS_PROXY"),
    ):
        done = run(production, "probe", env={**world.env, **env})
        refused(done, part)
        assert "lines" not in done.stderr
    assert world.seen == []


def test_a_server_on_this_machine(production: Path, world: World) -> None:
    """`npm run dev` is not Access: plain http is allowed there, and the secret stays here."""
    here = f"127.0.0.1:{world.port}"
    world.hosts = {here: answer(200, "", {"Server": "workerd"})}
    configure(production, routes=[])
    done = run(production, "probe", "--json", "--url", f"http://{here}/a?b=c", env=TOKEN)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["open"] == [f"http://{here}/a?b=c"]
    seen = world.at(here)
    assert [one.path for one in seen] == ["/a?b=c"] * 6 and SECRET not in str(seen)


def test_help(production: Path) -> None:
    done = run(production, "probe", "--help")
    assert done.returncode == 0 and done.stderr == ""
    for part in ("--subdomain", "--url", "CF_ACCESS_CLIENT_SECRET", "Exit status"):
        assert part in flat(done.stdout)


def test_ctrl_c_does_not_wait_for_a_server_that_hangs(production: Path, world: World) -> None:
    """On a terminal there is a progress bar; Ctrl-C ends it at once, in one line."""
    world.hosts[HOST] = HANG
    terminal, side = pty.openpty()
    started = subprocess.Popen(
        [*COMMAND, "probe"],
        cwd=production,
        env=environment(**world.env, TERM="xterm"),
        stdout=subprocess.PIPE,
        stderr=side,
        preexec_fn=mind_ctrl_c,
    )
    os.close(side)
    assert world.hanging.wait(20)
    started.send_signal(signal.SIGINT)
    out, _ = started.communicate(timeout=5)
    said = b""
    try:
        while piece := os.read(terminal, 65536):
            said += piece
    except OSError:  # all of it was read
        pass
    os.close(terminal)
    assert started.returncode == 130 and out == b""
    assert b"Trying" in said and b"private-worker: stopped" in said and b"Traceback" not in said
