# Managed by the private-worker template: do not edit, an update replaces it.
"""callers/curl.sh with the real curl, through the stand-in for Access, against this guard."""

import json
import os
import shutil
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kit.access import MACHINE
from kit.edge import ID, KEY, SECRET

pytestmark = pytest.mark.skipif(
    not (shutil.which("sh") and shutil.which("curl")), reason="sh or curl is not installed"
)


JSON, HTML = "application/json", "text/html; charset=UTF-8"
MISSING = ["-H", "--data", "-T"]
FORBIDDEN = '{"error": "forbidden"}'
SIGNALS = (1, 2, 15)  # HUP, INT and TERM, which not every system names


@pytest.fixture
def curl(project_root, tmp_path):
    """Run the script: `env` changes the environment, None takes a name out of it."""
    (tmp_path / ".curlrc").write_text('header = "X-Other: 1"\n', encoding="utf-8")
    (tmp_path / "tmp").mkdir()

    def curl(url, *arguments, shell=("sh",), stdin="", start=subprocess.run, **env):
        token = {"CF_ACCESS_CLIENT_ID": MACHINE, "CF_ACCESS_CLIENT_SECRET": SECRET}
        home = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path / "tmp")}
        given = {"PATH": os.environ["PATH"], **home, "URL": url, **token, **env}
        command = [*shell, str(project_root / "callers" / "curl.sh"), *arguments]
        env = {name: value for name, value in given.items() if value is not None}
        if start is not subprocess.run:
            return start(command, env=env, start_new_session=True, preexec_fn=hear_signals)
        done = start(command, env=env, input=stdin, capture_output=True, text=True, timeout=60)
        assert SECRET not in done.stdout + done.stderr
        assert "-x" in shell or len(done.stderr.splitlines()) <= 1
        assert not list((tmp_path / "tmp").iterdir())
        return done

    return curl


def hear_signals():
    """What pytest itself ignores, under nohup for one, its children would ignore as well."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


class Site:
    """A server that gives one answer to every request; `came` holds their paths."""

    def __init__(self):
        site = self
        self.came, self.answer = [], (200, {"Content-Type": JSON}, "{}")
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

        class Handler(BaseHTTPRequestHandler):
            def handle(self):
                try:
                    super().handle()
                except ConnectionError:
                    pass  # curl was ended in the middle

            def do_GET(self):
                site.came.append(self.path)
                site.asked.set()
                site.go_on.wait(30)
                status, headers, body = site.answer
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body.encode())

            do_HEAD = do_POST = do_PUT = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()


@pytest.fixture
def site():
    site = Site()
    yield site
    site.go_on.set()
    site.server.shutdown()
    site.server.server_close()


def refused(done, status, words):
    assert (done.returncode, done.stdout) == (status, "")
    assert words in done.stderr


def test_let_in(curl, edge):
    done = curl(edge.url, "/")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["identity"] == {"kind": "machine", "client_id": MACHINE}
    sent = dict(edge.came[0])
    assert (sent[ID], sent[KEY]) == (MACHINE, SECRET)
    assert "x-other" not in sent, "a .curlrc is not read"


def test_more_for_curl(curl, edge):
    kind = ["--header", "Content-Type: application/json"]
    done = curl(edge.url + "/", "/json", *kind, "--data", '{"a": [1, "{b}"]}', "--compressed")
    assert json.loads(done.stdout)["body"] == {"a": [1, "{b}"]}
    assert curl(edge.url, "/[1-3]{a,b}").returncode == 0
    assert len(edge.came) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["-XPOST", "-HContent-Type: application/json", "-d@-"],
        ["--request", "PUT", "-H", "Content-Type: application/json", "-T", "-"],  # sent in chunks
        ["--header", "Content-Type: application/json", "--data-binary", "@-", "-m", "30"],
    ],
)
def test_body_from_the_input(curl, edge, arguments):
    done = curl(edge.url, "/json", *arguments, stdin='{"a": 1}')
    assert (done.returncode, json.loads(done.stdout)) == (0, {"body": {"a": 1}}), done.stderr


def test_closed_input(curl, edge):
    assert curl(edge.url, "/", shell=("sh", "-c", 'exec sh "$0" "$@" <&-')).returncode == 0


def test_head(curl, edge):
    done = curl(edge.url, "/", "--head")
    assert done.returncode == 0 and done.stdout.startswith("HTTP/1.1 200")
    edge.in_front = False
    done = curl(edge.url, "/", "-I")
    assert (done.returncode, done.stdout[:12]) == (22, "HTTP/1.1 403")


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
def test_other_options_and_addresses(curl, edge, site, arguments):
    given = [argument.format(other=site.url, host=site.host) for argument in arguments]
    done = curl(edge.url, "/", *given)
    refused(done, 2, "needs a value" if given[-1] in MISSING else "argument ")
    assert not edge.came and not site.came and site.host not in done.stderr


def test_value_that_looks_like_an_option(curl, edge, site):
    values = ["--data", "--next", "--data", site.url, "-H", "-L"]
    curl(edge.url, "/", *values)
    assert len(edge.came) == 1 and not site.came


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_user_name_in_the_address(curl, site, name):
    refused(curl(f"http://{name}:80@{site.host}", "/"), 2, "user name")
    assert not site.came


def test_answers_of_the_api(curl, edge):
    done = curl(edge.url, "/raise")
    assert (done.returncode, json.loads(done.stdout)["error"]) == (22, "internal_error")


def test_no_proxy_for_this_computer(curl, edge):
    assert curl(edge.url, "/", http_proxy="http://127.0.0.1:1").returncode == 0


def test_refusals(curl, edge):
    """A login redirect, which is not followed; 401 and 403 of strict mode; the guard's 403."""
    edge.expired = {MACHINE}
    refused(curl(edge.url, "/"), 1, "login")
    assert len(edge.came) == 1
    edge.strict = True
    refused(curl(edge.url, "/"), 1, "Access refused with 401")
    edge.expired, edge.service_auth = set(), set()
    refused(curl(edge.url, "/"), 1, "Access refused with 403")
    edge.in_front = False
    refused(curl(edge.url, "/"), 1, "the guard refused")


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
def test_who_refused(curl, site, status, headers, body, words):
    site.answer = (status, headers, body)
    refused(curl(site.url, "/"), 1, words)


def test_challenge(curl, site, tmp_path):
    """By the header, which curl tells since 7.84."""
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout
    if tuple(map(int, version.split()[1].split(".")[:2])) < (7, 84):
        pytest.skip("this curl does not tell a header")
    site.answer = (403, {"Content-Type": HTML, "cf-mitigated": "challenge"}, "<p>Prove it</p>")
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
def test_the_apis_own(curl, site, status, headers, body):
    site.answer = (status, headers, body)
    done = curl(site.url, "/")
    assert (done.returncode, done.stdout, done.stderr) == (22 if status >= 400 else 0, body, "")


def test_trace_does_not_show_the_secret(curl, edge):
    """`curl` looks for it in all that is printed."""
    done = curl(edge.url, "/", shell=("sh", "-x"))
    assert done.returncode == 0 and "set -eu +x" in done.stderr


@pytest.mark.parametrize("number", SIGNALS)
def test_interrupted(curl, site, tmp_path, number):
    site.go_on.clear()
    running = curl(site.url, "/", start=subprocess.Popen)
    assert site.asked.wait(30) and list((tmp_path / "tmp").iterdir())
    os.killpg(running.pid, number)
    assert running.wait(30) == 130
    assert not list((tmp_path / "tmp").iterdir())


def test_no_temporary_file(curl, edge, tmp_path):
    refused(curl(edge.url, "/", TMPDIR=str(tmp_path / "none")), 2, "TMPDIR")
    assert not edge.came


def test_no_status(curl, edge, tmp_path):
    (tmp_path / "curl").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "curl").chmod(0o755)
    refused(curl(edge.url, "/", PATH=f"{tmp_path}:{os.environ['PATH']}"), 2, "no status")


def test_worker_not_ready(curl, edge, load, access):
    edge.worker = load(POLICY_AUD="")
    refused(curl(edge.url, "/"), 1, "not set up")
    edge.worker = load()
    access.answer(500)
    refused(curl(edge.url, "/"), 1, "signing keys")


def test_secret_is_on_no_command_line(curl, edge, tmp_path):
    """A curl that writes down how it was called, in place of the real one."""
    seen = tmp_path / "seen"
    fake = tmp_path / "curl"
    fake.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >{seen}\nenv >>{seen}.env\ncat /dev/fd/3 >{seen}.in\n'
    )
    fake.chmod(0o755)
    curl(edge.url, "/", PATH=f"{tmp_path}:{os.environ['PATH']}")
    arguments = seen.read_text().splitlines()
    assert edge.url + "/" in arguments and SECRET not in seen.read_text()
    assert SECRET in (tmp_path / "seen.in").read_text()


def test_nobody_answers(curl):
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
def test_nothing_is_sent(curl, path, env, words):
    url = env.pop("URL", "http://127.0.0.1:1")
    refused(curl(url, path, **env), 2, words)
