"""`local` refuses to be reached from another computer or another site, whatever the options, the
settings, the request or the form.
"""

import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import shapes
from command_run import project, refused, run
from conftest import Render
from local_run import LOGIN, Backend, Stand, form_of, free_port, log_in, raw, settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(rendered, tmp_path_factory.mktemp("local"), profile="production")


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    backend = Backend()
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def stand(folder: Path, backend: Backend) -> Iterator[Stand]:
    stand = Stand(folder, backend.url)
    yield stand
    stand.stop()


@pytest.fixture
def client(stand: Stand, backend: Backend) -> Iterator[httpx.Client]:
    """Somebody who has logged in: only the rule at hand refuses."""
    with stand.client() as client:
        log_in(client)
        backend.came.clear()
        yield client


# -- who may reach it


def test_only_loopback(stand: Stand) -> None:
    """127.0.0.2 is this computer as well: a server on all addresses would answer there."""
    socket.create_connection(("127.0.0.1", stand.port)).close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", stand.port)).close()


def test_no_other_host(folder: Path) -> None:
    """There is no option by which another computer could reach it."""
    refused(run(folder, "local", "--host=0.0.0.0"), "there is no option or argument --host=0.0.0.0")


@pytest.mark.parametrize("port", ["0", "-1", "65536", "x"])
def test_ports_that_are_none(folder: Path, port: str) -> None:
    refused(run(folder, "local", f"--port={port}"), "--port" if port == "x" else f"no port {port}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1:8787",
        "http://example.com",
        "http://0.0.0.0:8787",
        "https://127.0.0.1:8787",
        "127.0.0.1:8787",
        "http://user:word@127.0.0.1:8787",
        "http://127.0.0.1:8787@example.com",
        "http://127.0.0.1:8787/path",
        "http://127.0.0.1:8787/?x",
        "http://127.0.0.1:8787#x",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://[::1]x:8787",
        "http://[::ffff:127.0.0.1]:8787",
        "http://2130706433:8787",
        "http://127.0.0.1:0x50",
        "http://127.0.0.1\\@example.com",
        "http://",
        "",
    ],
)
def test_other_workers(folder: Path, url: str) -> None:
    """What people are let into must be on this computer, too: their tokens go there."""
    refused(run(folder, "local", f"--worker={url}"), "--worker")


def test_in_front_of_itself(folder: Path) -> None:
    refused(run(folder, "local", "--worker", "http://localhost:8788"), "this command itself")


def test_port_that_is_taken(folder: Path, stand: Stand) -> None:
    """Started in a folder of the project, whose .dev.vars is read."""
    settings(folder, stand.port)
    done = run(folder / "src", "local", "--port", str(stand.port))
    refused(done, f"127.0.0.1, port {stand.port}: address already in use: stop what", "--port")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "",
        "0.0.0.0:{port}",
        "[::1]:{port}",
    ],
)
def test_host_of_another_site(
    stand: Stand, client: httpx.Client, backend: Backend, host: str
) -> None:
    """A name that an attacker lets point to 127.0.0.1, or a tunnel's: no page at all."""
    headers = {"Host": host.format(port=stand.port)}
    for path in ("/", LOGIN, "/cdn-cgi/access/certs"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 421 and answer.text.count("\n") == 1
    assert client.post(LOGIN, headers=headers).status_code == 421
    assert backend.came == []
    stand.heard(r"^421 GET / -$")
    assert client.get("/").status_code == 200


def test_own_names(stand: Stand, client: httpx.Client) -> None:
    for name in ("127.0.0.1", "localhost", "LOCALHOST"):
        headers = {"Host": f"{name}:{stand.port}"}
        assert client.get("/cdn-cgi/access/certs", headers=headers).status_code == 200


def test_two_hosts(stand: Stand, backend: Backend) -> None:
    host = f"Host: 127.0.0.1:{stand.port}\r\n"
    for lines in (f"{host}Host: evil.example\r\n", host * 2, ""):
        answer = raw(
            stand, f"GET /cdn-cgi/access/certs HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"
        )
        assert re.match(r"HTTP/1.1 4(00|21) ", answer), answer
    for target in ("http://evil.example/", f"http://127.0.0.1:{stand.port}/", "*", "x"):
        answer = raw(stand, f"OPTIONS {target} HTTP/1.1\r\n{host}Connection: close\r\n\r\n")
        assert answer.startswith("HTTP/1.1 400 "), answer


@pytest.mark.parametrize("method", ["CONNECT", "connect", "head", "Get"])
def test_odd_methods(stand: Stand, backend: Backend, method: str) -> None:
    """A tunnel, and what would be another method behind it."""
    backend.came.clear()
    lines = "".join(f"{name}: {value}\r\n" for name, value in stand.program().items())
    answer = raw(
        stand,
        f"{method} /x HTTP/1.1\r\nHost: 127.0.0.1:{stand.port}\r\n{lines}Connection: close\r\n\r\n",
    )
    assert answer.startswith("HTTP/1.1 400 ") and backend.came == []


@pytest.mark.parametrize(
    "header",
    [
        "CF-Ray",
        "CF-Connecting-IP",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Real-IP",
        "Forwarded",
        "Via",
    ],
)
def test_through_a_proxy(stand: Stand, client: httpx.Client, backend: Backend, header: str) -> None:
    for path in ("/", LOGIN):
        answer = client.get(path, headers={header: "192.0.2.1"})
        assert answer.status_code == 403 and header.lower() in answer.text
    assert backend.came == []


# -- what another site may try


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:{port}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_forms_of_another_site(stand: Stand, client: httpx.Client, headers: dict[str, str]) -> None:
    """Nobody is logged in as somebody else, however good the form."""
    sent = {name: value.format(port=stand.port) for name, value in headers.items()}
    data = {"form": form_of(client.get(LOGIN)), "email": "evil@example.com"}
    answer = client.post(LOGIN, data=data, headers=sent)
    assert answer.status_code == 403 and "set-cookie" not in answer.headers
    assert client.get("/").status_code == 200
    own = {"Origin": stand.url, "Sec-Fetch-Site": "same-origin"}
    assert client.post(LOGIN, data=data, headers=own).status_code == 303


@pytest.mark.parametrize("form", ["", "x", "{form}x", None])
def test_forms_that_are_not_ours(client: httpx.Client, form: str | None) -> None:
    """Such as one from before the last start, and one that another site has made up."""
    ours = form_of(client.get(LOGIN))
    sent = {} if form is None else {"form": form.format(form=ours)}
    answer = client.post(LOGIN, data={**sent, "email": "dev@example.com"})
    assert answer.status_code == 400 and "set-cookie" not in answer.headers
    assert "too old, or not from this server" in answer.text and form_of(answer)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/\t/evil.example/",
        "\n/evil.example",
        "/\r\nLocation: https://evil.example/",
        "javascript:alert(1)",
        "evil",
        "",
        "/a\\..\\..\\evil",
        "/cdn-cgi/access/logout",
        "/x/../cdn-cgi/access/logout",
        "/%63dn-cgi/access/logout",
    ],
)
def test_where_to_go_after_the_login(client: httpx.Client, target: str) -> None:
    """Only to a path of this server, and the page says so."""
    page = client.get(LOGIN, params={"redirect_url": target})
    assert page.status_code == 400 and "is not on this server" in page.text
    assert 'name="redirect_url" value="/"' in page.text
    data = {"form": form_of(page), "email": "dev@example.com", "redirect_url": target}
    answer = client.post(LOGIN, data=data)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_what_is_shown_is_escaped(client: httpx.Client) -> None:
    page = client.get(LOGIN, params={"redirect_url": '/"><script>alert(1)</script>'})
    assert "<script" not in page.text and "&quot;&gt;&lt;script&gt;" in page.text


def test_long_forms(stand: Stand, client: httpx.Client) -> None:
    """Nor one whose length nobody says."""
    assert client.post(LOGIN, data={"x": "y" * 20_000}).status_code == 413
    for length in ("", "Content-Length: 5\r\n"):
        answer = raw(
            stand,
            f"POST {LOGIN} HTTP/1.1\r\nHost: 127.0.0.1:{stand.port}\r\nConnection: close\r\n"
            f"{length}Transfer-Encoding: chunked\r\n\r\n5\r\nx=yyy\r\n0\r\n\r\n",
        )
        assert answer.startswith("HTTP/1.1 413 ")
    assert client.get("/").status_code == 200


# -- what is below /cdn-cgi/


@pytest.mark.parametrize(
    "path",
    [
        "/cdn-cgi/",
        "/cdn-cgi",
        "/cdn-cgi/handler/scheduled",
        "/cdn-cgi/access/other",
        "/cdn-cgi/local",
        "/%63dn-cgi/handler/scheduled",
        "/x/../cdn-cgi/handler/scheduled",
        "/x/%2e%2E/cdn-cgi/handler/scheduled",
        "/./cdn-cgi/handler/scheduled",
        "/x/..\\cdn-cgi/handler/scheduled",
        "\\cdn-cgi/handler/scheduled",
        "//cdn-cgi/handler/scheduled",
        "/cdn-cgi//../handler/scheduled",
        "/x%2Fy/../cdn-cgi/handler/scheduled",
        "/cdn-cgi/explorer/x%5C..%5C..%5C..%5Cx",
        "/__cf_local/imagedelivery",
    ],
)
def test_not_handed_on(stand: Stand, client: httpx.Client, backend: Backend, path: str) -> None:
    """The Worker's dev server has pages there, such as one that starts its cron jobs."""
    answer = raw(
        stand,
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{stand.port}\r\nConnection: close\r\n"
        f"Cookie: CF_Authorization={client.cookies['CF_Authorization']}\r\n\r\n",
    )
    assert re.match(r"HTTP/1.1 40[04] ", answer), answer
    assert backend.came == []


# -- settings


@pytest.mark.slow
def test_settings_that_do_not_fit(folder: Path) -> None:
    """The exact line to write; .dev.vars of an earlier version says http://localhost."""
    port = free_port()
    wanted = f'TEAM_DOMAIN="http://127.0.0.1:{port}"'
    for team in (
        "http://localhost",
        "acme-labs",
        "http://127.0.0.1:1",
        "http://localhost:1",
    ):
        settings(folder, port, TEAM_DOMAIN=team)
        refused(run(folder, "local", "--port", str(port)), ".dev.vars", f": {wanted}")
    settings(folder, port)
    for name, value in {"ALLOWED_EMAILS": "dev", "POLICY_AUD": ""}.items():
        settings(folder, port, **{name: value})
        refused(run(folder, "local", "--port", str(port)), name, ".dev.vars.example")
    (folder / ".dev.vars").write_bytes(b"\xff")
    refused(run(folder, "local"), ".dev.vars", "UTF-8")
    (folder / ".dev.vars").unlink()
    refused(run(folder, "local"), "cp .dev.vars.example .dev.vars")


def test_settings_that_never_end(folder: Path) -> None:
    """Neither a hang nor a traceback."""
    (folder / ".dev.vars").write_text("\n" * 200_000 + 'TEAM_DOMAIN="acme-labs"\n')
    refused(run(folder, "local"), ".dev.vars", 'TEAM_DOMAIN="http://127.0.0.1:8788"')
    (folder / ".dev.vars").unlink()
    (folder / ".dev.vars").symlink_to("/dev/zero")
    try:
        refused(run(folder, "local"), ".dev.vars has more than 1000000 bytes")
    finally:
        (folder / ".dev.vars").unlink()


def test_environment_that_steers_the_terminal(folder: Path) -> None:
    refused(run(folder, "local", "--env", "a\x1b[31m"), "--env a\\x1b[31m: ")


@pytest.mark.slow
def test_settings_of_an_environment(rendered: Render, tmp_path: Path, backend: Backend) -> None:
    """.dev.vars.staging takes the place of .dev.vars, as in wrangler."""
    answers = shapes.answers(shapes.of_interest()["everybody"])
    folder = project(rendered, tmp_path, **answers)
    port = free_port()
    settings(folder, port)
    (folder / ".dev.vars.staging").write_text("TEAM_DOMAIN=http://localhost\nPOLICY_AUD=local\n")
    done = run(folder, "local", "--port", str(port), "--env", "staging")
    refused(done, ".dev.vars.staging", f'TEAM_DOMAIN="http://127.0.0.1:{port}"')
    (folder / ".dev.vars.staging").unlink()
    stand = Stand(folder, backend.url, "--env", "staging", ALLOWED_SERVICE_TOKENS="one.access")
    try:
        stand.heard("my-api-staging")
        assert stand.exported("CF_ACCESS_CLIENT_ID") == "one.access"
    finally:
        stand.stop()


@pytest.mark.parametrize("team", ["http://127.0.0.1:8788", "HTTP://localhost"])
def test_deployed_settings_that_are_local(rendered: Render, tmp_path: Path, team: str) -> None:
    """What is meant for this computer would be deployed."""
    folder = project(rendered, tmp_path, profile="production")
    settings(folder, 8788)
    path = folder / "wrangler.jsonc"
    text, count = re.subn(
        r'"TEAM_DOMAIN": "[^"]*"', f'"TEAM_DOMAIN": {json.dumps(team)}', path.read_text()
    )
    path.write_text(text)
    assert count
    refused(run(folder, "local"), "wrangler.jsonc, the top level", "TEAM_DOMAIN", ".dev.vars")


# -- other shapes


@pytest.mark.slow
def test_programs_only(rendered: Render, tmp_path: Path, backend: Backend) -> None:
    """Nobody can log in; without a token 401, as provision sets Access up."""
    answers = shapes.answers(shapes.of_interest()["machines-on-a-route"])
    stand = Stand(project(rendered, tmp_path, **answers), backend.url)
    try:
        assert "e-mail" not in "".join(stand.said)
        with stand.client() as client:
            assert client.get("/").status_code == 401
            page = client.get(LOGIN)
            assert page.status_code == 403 and "programs only" in page.text
            assert client.get("/", headers=stand.program()).status_code == 200
    finally:
        stand.stop()


@pytest.mark.slow
def test_people_only(rendered: Render, tmp_path: Path, backend: Backend) -> None:
    """No service token is named or taken."""
    stand = Stand(project(rendered, tmp_path, profile="personal"), backend.url)
    try:
        assert "CF_ACCESS_CLIENT" not in "".join(stand.said)
        with stand.client() as client:
            headers = {"CF-Access-Client-Id": "a.access", "CF-Access-Client-Secret": ""}
            assert client.get("/", headers=headers).status_code == 401
            assert log_in(client).status_code == 303
    finally:
        stand.stop()


def test_nothing_is_written(folder: Path, stand: Stand) -> None:
    """No key and no session is on disk."""
    names = {path.name for path in folder.rglob("*") if ".git" not in path.parts}
    assert ".dev.vars" not in names or os.path.getsize(folder / ".dev.vars")
    assert not [name for name in names if "key" in name.lower() and name.endswith(".pem")]
