"""Runs inside a rendered project: a browser and a program, `npm run local`, and the real Worker.

Real Chromium, the real command, the Worker in Pyodide.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from private_worker.config import Config
from private_worker.standin.team import PERSON


@pytest.fixture(scope="module")
def local(project_root, tmp_path_factory):
    """The command, in front of a port where each test puts its Worker."""
    free = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    port, behind = (server.getsockname()[1] for server in free)
    for server in free:
        server.close()
    text = (project_root / ".dev.vars.example").read_text().replace("8788", str(port))
    (project_root / ".dev.vars").write_text(text.replace("dev@example.com", PERSON))
    said = tmp_path_factory.mktemp("local") / "said"
    command = [sys.executable, "-m", "private_worker", "local", "--port", str(port)]
    with said.open("w") as out:
        process = subprocess.Popen(
            [*command, "--worker", f"http://127.0.0.1:{behind}"], cwd=project_root, stdout=out
        )
    for _ in range(600):
        if "Ctrl-C stops it" in said.read_text():
            break
        time.sleep(0.05)
    local = Local(f"http://127.0.0.1:{port}", behind, said)
    yield local
    process.send_signal(signal.SIGKILL)
    process.wait()


class Local:
    def __init__(self, url, behind, said):
        self.url, self.behind, self.said = url, behind, said

    def program(self):
        """The headers of the service token that it printed."""
        found = dict(re.findall(r"export (\w+)=(\S+)", self.said.read_text()))
        return {
            "CF-Access-Client-Id": found["CF_ACCESS_CLIENT_ID"],
            "CF-Access-Client-Secret": found["CF_ACCESS_CLIENT_SECRET"],
        }


@pytest.fixture
def chain(local, worker, project_root):
    """The Worker with the settings of .dev.vars, which fetches the keys from `local`."""
    lines = (project_root / ".dev.vars").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    settings = {name: value.strip('"') for name, value in given.items()}
    worker.load(env={**worker.env, **settings}, routes={local.url: local.url})
    simulated = Config(project_root / "wrangler.jsonc").data["access"]["dev"]
    server = serve(worker, local.behind, simulated)
    yield worker
    server.shutdown()
    server.server_close()


def serve(worker, port, simulated):
    """The Worker at an HTTP address, as `npm run dev` does: with the `access.dev` identity."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            headers = list(self.headers.items())
            url = f"http://{self.headers['Host']}{self.path}"
            answer = worker.fetch(url, headers=headers, access=simulated)
            self.send_response_only(answer.status)
            for name, value in answer.headers.pairs:
                if name.lower() not in ("content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    return server


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("chromium is missing: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 320, "height": 640})
    yield context.new_page()
    context.close()


def fits(page):
    """Nothing to scroll sideways."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def says(page, what):
    expect(page.locator("body")).to_contain_text(what)


def test_a_person(chain, local, page):
    """Open the API, get the login page, pick a person, see the identity, log out."""
    page.goto(f"{local.url}/?x=1")
    expect(page.get_by_role("heading")).to_contain_text("Log in to")
    fits(page)
    page.get_by_role("button", name=PERSON).click()
    page.wait_for_url(f"{local.url}/?x=1")
    says(page, PERSON)
    says(page, '"human"')
    page.goto(f"{local.url}/cdn-cgi/access/logout")
    says(page, "Logged out")
    fits(page)
    page.goto(local.url)
    expect(page.get_by_role("heading")).to_contain_text("Log in to")


def test_somebody_else(chain, local, page):
    """Access lets them in, the guard does not."""
    page.goto(local.url)
    page.get_by_label("Another e-mail address").fill("other@example.com")
    with page.expect_response(f"{local.url}/") as answer:
        page.get_by_role("button", name="Log in", exact=True).click()
    assert answer.value.status == 403
    says(page, '"forbidden"')


def test_a_bad_address(chain, local, page):
    page.goto(local.url)
    long = "x" * 180
    page.get_by_label("Another e-mail address").fill(f"{long}<img src=x onerror=alert(1)>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This is not an e-mail address: xxx")
    fits(page)
    assert page.locator("img").count() == 0
    page.get_by_role("button", name=PERSON).click()
    says(page, PERSON)


def test_another_site_cannot_log_anybody_in(chain, local, browser):
    """A page that posts the login form by itself: the browser says where the form is from."""
    login = httpx.get(f"{local.url}/cdn-cgi/access/login", trust_env=False)
    form = re.search(r'name="form" value="([^"]+)', login.text)[1]

    class Evil(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response_only(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(
                f'<form method="post" action="{local.url}/cdn-cgi/access/login">'
                f'<input name="form" value="{form}"><input name="email" value="{PERSON}">'
                "</form><script>document.forms[0].submit()</script>".encode()
            )

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    Thread(target=server.serve_forever, daemon=True).start()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://localhost:{server.server_port}/")
    says(page, "The form is not from this server.")
    assert context.cookies() == []
    context.close()
    server.shutdown()
    server.server_close()


def test_a_program(chain, local):
    with httpx.Client(base_url=local.url, trust_env=False, timeout=60) as client:
        answer = client.get("/", headers=local.program())
        assert answer.status_code == 200, chain.logs
        client_id = local.program()["CF-Access-Client-Id"]
        assert answer.json()["identity"] == {"kind": "machine", "client_id": client_id}
        wrong = {**local.program(), "CF-Access-Client-Secret": "wrong"}
        assert client.get("/", headers=wrong).status_code == 401
        # The guard believes the header, not the simulated person that comes with each request.
        forged = {"Cf-Access-Jwt-Assertion": "x.y.z", **local.program()}
        assert client.get("/", headers=forged).json()["identity"]["client_id"] == client_id
