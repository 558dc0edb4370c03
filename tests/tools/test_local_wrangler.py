"""`local` in front of the real `wrangler dev`.

A small Worker in JavaScript stands for ours, whose Python runtime would have to be downloaded. It
shows what a Worker sees there, and that .dev.vars is read as wrangler reads it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from command_run import environment, project
from conftest import Render
from local_run import ASSERTION, Stand, free_port, log_in, raw

pytestmark = pytest.mark.slow

WORKER = """
export default {
  async scheduled() { globalThis.started = true; },
  async fetch(request, env, ctx) {
    const path = new URL(request.url).pathname;
    if (path === "/redirect") return Response.redirect(new URL("/to", request.url), 302);
    if (path === "/keys") return fetch(env.TEAM_DOMAIN + "/cdn-cgi/access/certs");
    const headers = Object.fromEntries(request.headers);
    return Response.json({ env, headers, access: ctx.access?.aud, started: globalThis.started });
  },
};
"""
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
    (folder / "node_modules").symlink_to(node_modules, target_is_directory=True)
    (folder / "src" / "entry.js").write_text(WORKER)
    path = folder / "wrangler.jsonc"
    text = path.read_text(encoding="utf-8").replace("src/entry.py", "src/entry.js")
    text = text.replace('["python_workers"]', "[]").replace(', "**/*.js"', "")  # it is code here
    path.write_text(text, encoding="utf-8")
    return folder


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
            [*wrangler, "--port", str(port), "--inspector-port", "0"],
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
        # wrangler makes the address of the route's hostname; the redirect leads here again.
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
