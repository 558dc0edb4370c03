"""The real `wrangler dev`, and `local` in front of it.

A small Worker in JavaScript stands for ours, whose Python runtime would have to be downloaded. It
shows what a Worker sees there, and that .dev.vars is read as wrangler reads it.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from command_run import environment, project
from conftest import Render
from local_run import ASSERTION, Stand, free_port, log_in, raw
from wrangler_dev import Dev

pytestmark = pytest.mark.slow

WORKER = """
export default {
  async scheduled() { globalThis.started = true; },
  async fetch(request, env, ctx) {
    const path = new URL(request.url).pathname;
    if (path === "/redirect") return Response.redirect(new URL("/to", request.url), 302);
    if (path === "/keys") return fetch(env.TEAM_DOMAIN + "/cdn-cgi/access/certs");
    const headers = Object.fromEntries(request.headers);
    const seen = { url: request.url, headers, env, access: ctx.access?.aud };
    return Response.json({ ...seen, started: globalThis.started });
  },
};
"""
DEV = "uv run pywrangler dev"
# Every form that a line of .dev.vars can have.
LINES = r"""
# a comment
A=plain value # the rest
B='single $KEEP # x'
C="double\nline ${A} \r#y"
export D = spaced
E=`back 'tick'`
F="over
two lines"
G=
H: colon
I=a"b"c
J="open
K='x' trailing
L.M-N=3
O=\$A
Q="a\"b"
  R="indented"   # c
S=#hash
T=a#b
U = 'x' # 'y'
V='it''s'
A=twice
"""


@pytest.fixture(scope="module")
def folder(
    rendered: Render, node: Path, node_modules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project with the Worker above in the place of ours."""
    folder = project(rendered, tmp_path_factory.mktemp("wrangler"), profile="production")
    in_javascript(folder, node_modules)
    return folder


def in_javascript(folder: Path, node_modules: Path) -> None:
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    (folder / "src" / "entry.js").write_text(WORKER)
    path = folder / "wrangler.jsonc"
    text = path.read_text(encoding="utf-8").replace("src/entry.py", "src/entry.js")
    text = text.replace('["python_workers"]', "[]").replace(', "**/*.js"', "")  # it is code here
    path.write_text(text, encoding="utf-8")


def options(folder: Path) -> list[str]:
    """Those of `npm run dev`."""
    script = json.loads((folder / "package.json").read_text(encoding="utf-8"))["scripts"]["dev"]
    start, found = script[: len(DEV)], script[len(DEV) :]
    assert start == DEV
    return shlex.split(found)


@pytest.fixture(scope="module")
def stand(folder: Path, node: Path) -> Iterator[Stand]:
    port = free_port()
    stand = Stand(folder, f"http://127.0.0.1:{port}")
    with (folder / ".dev.vars").open("a", encoding="utf-8") as file:
        file.write(LINES)
    wrangler = [str(node), "node_modules/wrangler/bin/wrangler.js", "dev", "--ip", "127.0.0.1"]
    with (folder / "wrangler.log").open("w") as log:
        process = subprocess.Popen(
            # Not the usual port of the debugger: another test may run wrangler at the same time.
            [*wrangler, "--port", str(port), "--inspector-port", "0", *options(folder)],
            cwd=folder,
            env={**os.environ, "CI": "1", "WRANGLER_SEND_METRICS": "false"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/", process, folder / "wrangler.log")
        yield stand
    finally:
        stand.stop()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        try:
            httpx.get(url, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])


def seen(stand: Stand, client: httpx.Client) -> Any:
    answer = client.get("/")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_dev_vars_as_wrangler_reads_it(stand: Stand, folder: Path) -> None:
    script = "import json, sys; from private_worker.dev_vars import dev_vars\n"
    script += "print(json.dumps(dev_vars(sys.stdin.read())))"
    text = (folder / ".dev.vars").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        input=text,
        capture_output=True,
        text=True,
    )
    ours = json.loads(done.stdout)
    with stand.client() as client:
        log_in(client)
        env = seen(stand, client)["env"]
    assert len(ours) > 20 and ours["A"] == "twice"
    assert {name: env.get(name) for name in ours} == ours


def test_what_the_worker_sees(stand: Stand) -> None:
    """The signed header beside the simulated `access.dev`, and the keys from here."""
    with stand.client() as client:
        log_in(client, "jörg@example.com")
        found = seen(stand, client)
        assert found["access"] == "local"
        assert stand.claims(found["headers"][ASSERTION])["email"] == "jörg@example.com"
        assert [key["kty"] for key in client.get("/keys").json()["keys"]] == ["RSA"]
        assert found["url"] == f"{stand.url}/"  # where the guard sees that it is this computer
        location = client.get("/redirect").headers["location"]
        assert location == f"{stand.url}/to"


def test_pages_of_the_dev_server(stand: Stand) -> None:
    """The one that starts a cron job is not reached, however its path is written."""
    with stand.client() as client:
        log_in(client)
        cookie = f"Cookie: CF_Authorization={client.cookies['CF_Authorization']}"
        lines = f"Host: 127.0.0.1:{stand.port}\r\nConnection: close\r\n{cookie}"
        for path in ("/cdn-cgi/handler/scheduled", "/x/../cdn-cgi/handler/scheduled"):
            raw(stand, f"GET {path} HTTP/1.1\r\n{lines}\r\n\r\n")
        for path in (
            "/x/%2e./cdn-cgi/handler/scheduled",
            "/\\cdn-cgi/handler/scheduled",
            "/cdn-cgi//../handler/scheduled",
            "/x%2Fy/../cdn-cgi/handler/scheduled",
        ):
            raw(stand, f"GET {path} HTTP/1.1\r\n{lines}\r\n\r\n")
        assert "started" not in seen(stand, client)
        httpx.get(f"{stand.worker}/cdn-cgi/handler/scheduled", trust_env=False)
        assert seen(stand, client)["started"], "the page is there, so the above means something"


EXPOSURES: dict[str, dict[str, Any]] = {
    "workers_dev": {"callers": ["human"]},
    "custom_domain": {"callers": ["human"], "hostname": "api.example.com"},
    "route": {
        "callers": ["human"],
        "route_pattern": "api.example.com/my-api/*",
        "zone_name": "example.com",
    },
}


@pytest.fixture(scope="module", params=EXPOSURES)
def exposed(
    request: pytest.FixtureRequest, rendered: Render, node_modules: Path, tmp_path_factory: Any
) -> Path:
    answers = {"profile": "custom", "exposure": request.param, **EXPOSURES[request.param]}
    folder = project(rendered, tmp_path_factory.mktemp("exposed"), **answers)
    in_javascript(folder, node_modules)
    shutil.copy(folder / ".dev.vars.example", folder / ".dev.vars")
    return folder


@pytest.fixture(scope="module")
def dev(exposed: Path, node: Path) -> Iterator[Dev]:
    """As `npm run dev` starts it."""
    command = [str(node), "node_modules/wrangler/bin/wrangler.js", *options(exposed)]
    dev = Dev(command, exposed, exposed / "registry")
    yield dev
    dev.stop()


def asked_for(dev: Dev, host: str, **headers: str) -> Any:
    """What the Worker sees of a request with this Host."""
    answer = httpx.get(dev.url, headers={"Host": host, **headers}, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8787", "localhost:8787", "[::1]:8787", "127.0.0.1", "localhost:8788"),
        *("rebound.example:8787", "rebound.example", "localhost.rebound.example:8787"),
    ],
)
def test_the_worker_sees_the_host_that_was_asked_for(dev: Dev, host: str) -> None:
    """The guard refuses whoever asks for another host than this computer. It must neither refuse
    the developer, nor be told that a page of a stranger's asked for this computer."""
    found = asked_for(dev, host)
    assert (found["url"], found["headers"]["host"]) == (f"http://{host}/", host)
    assert found["access"] == "local"


def test_a_page_can_still_lie_to_wrangler(dev: Dev) -> None:
    """What remains, and stands in docs/SECURITY.md of the project. When wrangler no longer believes
    this header of a client, this test fails and the sentence can go."""
    found = asked_for(dev, "rebound.example", **{"MF-Original-URL": "http://127.0.0.1:8787/"})
    assert found["url"] == "http://127.0.0.1:8787/"


def test_without_the_option_nobody_is_let_in(exposed: Path, node: Path) -> None:
    """wrangler then shows the host of the route, if there is one, whoever asks: no local one."""
    wrangler = [str(node), "node_modules/wrangler/bin/wrangler.js"]
    dev = Dev(wrangler, exposed, exposed / "registry")
    try:
        host = urlsplit(asked_for(dev, "rebound.example:8787")["url"]).hostname
    finally:
        dev.stop()
    assert host in ("rebound.example", "api.example.com")
