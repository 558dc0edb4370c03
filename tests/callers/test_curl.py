"""callers/curl.sh with the real curl, against servers that answer like Access, Cloudflare, an API.

What it does through Access and against the guard: in_project/test_curl.py.
"""

import os
import subprocess
from pathlib import Path

import pytest

from client_calls import Serve, serve
from curl_calls import NEEDED, SCRIPT, SIGNALS, Curl, curl, environment, hear_signals, refused
from loopback import MACHINE, SECRET

__all__ = ["curl", "serve"]  # fixtures

pytestmark = [NEEDED, pytest.mark.slow]

JSON, HTML = "application/json", "text/html; charset=UTF-8"
MISSING = ["-H", "--data", "-T"]
FORBIDDEN = '{"error": "forbidden"}'
OK = (200, {"Content-Type": JSON}, b"{}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["{other}"],
        ["--header", "Content-Type:", "application/json", "{other}"],
        ["--data", "a", "{other}", "--location", "--next"],
        ["--data", "a", "--next", "{other}"],
        ["--url", "{other}"],
        ["-x", "{other}"],
        ["-x{other}"],
        ["--proxy", "{other}"],
        ["--connect-to", "::{host}"],
        ["--connect-to=::{host}"],
        ["-GL", "{other}"],
        ["--", "{other}"],
        ["x {other}"],
        [""],
        ["-X", "GET", ""],
        *([option] for option in "-L --location-trusted --locat -v --verbose -k -f -O -".split()),
        *([option, "/dev/stderr"] for option in "-K --config --trace --libcurl -o".split()),
        *([option] for option in MISSING),
    ],
)
def test_other_options_and_addresses(curl: Curl, serve: Serve, arguments: list[str]) -> None:
    site, other = serve(OK), serve(OK)
    given = [argument.format(other=other.url, host=other.host) for argument in arguments]
    done = curl(site.url, "/", *given)
    refused(done, 2, "needs a value" if given[-1] in MISSING else "argument ")
    assert not site.came and not other.came and other.host not in done.stderr


def test_value_that_looks_like_an_option(curl: Curl, serve: Serve) -> None:
    site, other = serve(OK), serve(OK)
    values = ["--data", "--next", "--data", other.url, "-H", "-L"]
    curl(site.url, "/", *values)
    assert len(site.came) == 1 and not other.came


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_user_name_in_the_address(curl: Curl, serve: Serve, name: str) -> None:
    site = serve(OK)
    refused(curl(f"http://{name}:80@{site.host}", "/"), 2, "user name")
    assert not site.came


@pytest.mark.parametrize(
    ("status", "headers", "body", "words"),
    [
        (403, {"Content-Type": "text/plain; charset=UTF-8"}, "error code: 1010", "firewall"),
        (403, {"Content-Type": HTML}, "<h1>Sorry, you have been blocked</h1>", "firewall"),
        (403, {"Content-Type": HTML}, "<title>Just a moment...</title>", "firewall"),
        (403, {"Content-Type": HTML}, '<script>\n{"a": 1}\n</script>', "Access refused with 403"),
        (403, {"Content-Type": HTML}, f"<h1>No</h1>\n{FORBIDDEN}\n", "Access refused with 403"),
        (401, {}, "", "Access refused with 401"),
        (403, {"Content-Type": JSON}, FORBIDDEN, "the guard refused"),
        (302, {"Location": "https://a-team.cloudflareaccess.com/x"}, "", "login"),
        (302, {"Location": "/cdn-cgi/access/login/x?kid=1"}, "", "login"),
    ],
)
def test_who_refused(
    curl: Curl, serve: Serve, status: int, headers: dict[str, str], body: str, words: str
) -> None:
    refused(curl(serve((status, headers, body.encode())).url, "/"), 1, words)


CHALLENGE = (
    'Bearer realm="OAuth", error="invalid_token", resource_metadata='
    '"https://api.example.com/.well-known/cloudflare-access-protected-resource/"'
)


@pytest.mark.parametrize("kind", [JSON, "application/json; charset=utf-8", ""])
def test_access_refuses_in_json_where_agents_log_in(curl: Curl, serve: Serve, kind: str) -> None:
    """By the challenge (RFC 9728), which curl tells since 7.84. Another one is the API's."""
    old_curl()
    body = b'{"error": "invalid_token"}'
    headers = {"Content-Type": kind, "WWW-Authenticate": CHALLENGE}
    refused(curl(serve((401, headers, body)).url, "/"), 1, "Access refused with 401")
    own = {"Content-Type": JSON, "WWW-Authenticate": 'Bearer realm="api"'}
    done = curl(serve((401, own, body)).url, "/")
    assert (done.returncode, done.stdout.encode()) == (22, body)


def old_curl() -> None:
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout
    if tuple(map(int, version.split()[1].split(".")[:2])) < (7, 84):
        pytest.skip("this curl does not tell a header")


def test_challenge(curl: Curl, serve: Serve) -> None:
    """By the header, which curl tells since 7.84."""
    old_curl()
    site = serve((403, {"Content-Type": HTML, "cf-mitigated": "challenge"}, b"<p>Prove it</p>"))
    refused(curl(site.url, "/"), 1, "firewall")
    refused(curl(site.url, "/", "--head"), 1, "firewall")


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (403, {"Content-Type": JSON}, '{"error": "forbidden", "detail": "error code: 1042"}'),
        (403, {"Content-Type": "application/problem+json"}, '{"title": "Error 1042"}'),
        (403, {"Content-Type": "text/plain"}, '\n  ["you have been blocked"]'),
        (403, {"Content-Type": JSON}, ""),
        (403, {"Content-Type": "application/problem+json; charset=utf-8"}, ""),
        (401, {"Content-Type": JSON}, FORBIDDEN),
        (500, {"Content-Type": JSON}, '{"errors": ["not_configured"]}'),
        (503, {"Content-Type": JSON}, '{"errors": ["keys_unavailable"]}'),
        (404, {"Content-Type": HTML}, "Just a moment"),
        (302, {"Location": "https://example.com/?to=https://t.cloudflareaccess.com/"}, "on"),
        (302, {"Location": "https://example.com/t.cloudflareaccess.com/"}, "on"),
        (302, {"Location": "https://t.cloudflareaccess.com.example.com/"}, "on"),
        (302, {"Location": "https://example.com?.cloudflareaccess.com"}, "on"),
        (302, {"Location": "https://example.com?x=/cdn-cgi/access/login"}, "on"),
        (302, {"Location": "/a?next=/cdn-cgi/access/login"}, "on"),
        (302, {"Location": "/docs/cdn-cgi/access/login"}, "on"),
    ],
)
def test_the_apis_own(
    curl: Curl, serve: Serve, status: int, headers: dict[str, str], body: str
) -> None:
    done = curl(serve((status, headers, body.encode())).url, "/")
    assert (done.returncode, done.stdout, done.stderr) == (22 if status >= 400 else 0, body, "")


@pytest.mark.parametrize("number", SIGNALS)
def test_interrupted(serve: Serve, tmp_path: Path, number: int) -> None:
    """No answer stays behind in a temporary file."""
    (tmp_path / "tmp").mkdir()
    site = serve(OK)
    site.go_on.clear()
    running = subprocess.Popen(
        ["sh", str(SCRIPT), "/"],
        env=environment(tmp_path, site.url, {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=hear_signals,
    )
    assert site.asked.wait(30) and list((tmp_path / "tmp").iterdir())
    os.killpg(running.pid, number)
    assert running.wait(30) == 130
    assert not list((tmp_path / "tmp").iterdir())


def test_no_temporary_file(curl: Curl, serve: Serve, tmp_path: Path) -> None:
    site = serve(OK)
    refused(curl(site.url, "/", TMPDIR=str(tmp_path / "none")), 2, "TMPDIR")
    assert not site.came


def test_no_status(curl: Curl, serve: Serve, tmp_path: Path) -> None:
    site = serve(OK)
    (tmp_path / "curl").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "curl").chmod(0o755)
    refused(curl(site.url, "/", PATH=f"{tmp_path}:{os.environ['PATH']}"), 2, "no status")


def test_secret_is_on_no_command_line(curl: Curl, serve: Serve, tmp_path: Path) -> None:
    """A curl that writes down how it was called, in place of the real one."""
    site = serve(OK)
    seen = tmp_path / "seen"
    fake = tmp_path / "curl"
    fake.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >{seen}\nenv >>{seen}.env\ncat /dev/fd/3 >{seen}.in\n'
    )
    fake.chmod(0o755)
    curl(site.url, "/", PATH=f"{tmp_path}:{os.environ['PATH']}")
    arguments = seen.read_text().splitlines()
    assert site.url + "/" in arguments and SECRET not in seen.read_text()
    assert SECRET in (tmp_path / "seen.in").read_text()


def test_nobody_answers(curl: Curl) -> None:
    done = curl("http://127.0.0.1:1", "/")
    assert done.returncode == 7 and "curl: (7)" in done.stderr


@pytest.mark.parametrize(
    ("path", "env", "words"),
    [
        ("/", {"URL": "http://api.example.com"}, "URL must be"),
        ("/", {"URL": "https://user:password@api.example.com"}, "user name"),
        ("/", {"URL": None}, "URL must be"),
        ("/", {"URL": "https:///"}, "URL must be"),
        ("/", {"URL": "https://my-api.<your-subdomain>.workers.dev"}, "placeholder"),
        ("/", {"URL": "https://api.example.com?x"}, "the address alone"),
        ("/", {"URL": "https://api.example.com#x"}, "the address alone"),
        ("/", {"URL": "https://api.example.com x"}, "the address alone"),
        ("/", {"URL": "https://api.example.com\\x"}, "the address alone"),
        ("", {}, "usage"),
        ("x", {}, "begins with /"),
        ("//evil.example.com", {}, "usage"),
        ("https://evil.example.com/", {}, "begins with /"),
        ("/", {"CF_ACCESS_CLIENT_ID": None}, "CF_ACCESS_CLIENT_ID is not set"),
        ("/", {"CF_ACCESS_CLIENT_SECRET": ""}, "CF_ACCESS_CLIENT_SECRET is not set"),
        ("/", {"CF_ACCESS_CLIENT_SECRET": 'x"\nurl = "https://x'}, "no secret has"),
        ("/", {"CF_ACCESS_CLIENT_SECRET": "$CF_ACCESS_CLIENT_SECRET"}, "no secret has"),
        ("/", {"CF_ACCESS_CLIENT_ID": MACHINE + "\n"}, "no Client ID has"),
        ("/", {"CF_ACCESS_CLIENT_ID": "cfast_x"}, ".access"),
        ("/", {"CF_ACCESS_CLIENT_SECRET": MACHINE}, "mixed up"),
    ],
)
def test_nothing_is_sent(curl: Curl, path: str, env: dict[str, str | None], words: str) -> None:
    refused(curl("http://127.0.0.1:1", path, **env), 2, words)
