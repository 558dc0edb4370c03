"""The examples in the gallery of Cloudflare's documentation, with a site of the test's own."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

SITE = "https://site.example.com"


class Site(BaseHTTPRequestHandler):
    """Says what it was asked, as JSON."""

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        said = {"path": self.path, "method": self.command, "host": self.headers["Host"]}
        said["body"] = self.rfile.read(length).decode()
        said["example"] = self.headers.get("X-Example")
        if self.path == "/secrets":
            said["mail"] = "ann@example.com"
        body = json.dumps(said).encode()
        self.server.asked.append(said)
        self.send_response(500 if self.path == "/broken" else 200)
        for name, value in (("Content-Type", "application/json"), ("X-Powered-By", "a site")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.asked = []
    Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(worker, access, site):
    url = f"http://127.0.0.1:{site.server_port}"
    routes = {**worker.routes, SITE: url, "https://other.example.com": url}
    worker.load(env={**worker.env, "SECRET": "a secret"}, routes=routes)

    def ask(path, method="GET", headers=None, **request):
        headers = {**access.person(), **(headers or {})}
        return worker.fetch(f"/gallery/{path}", method=method, headers=headers, **request)

    return ask


def test_early_hints(ask):
    assert ask("103").headers["Link"] == "</asset/style.css>; rel=preload; as=style"


def test_ab_testing(ask):
    first = ask("ab")
    group = first.headers["Set-Cookie"].removeprefix("group=").removesuffix("; Path=/")
    assert first.json()["path"] == f"/{group}" and group in ("control", "test")
    again = ask("ab", headers={"Cookie": f"group={group}"})
    assert again.json()["path"] == f"/{group}" and "Set-Cookie" not in again.headers


def test_aggregate(ask):
    assert ask("aggregate").json() == ["/one", "/two"]


def test_alter_headers(ask):
    headers = ask("alter").headers
    assert headers["X-Hello"] == "from the Worker" and "X-Powered-By" not in headers


def test_secret_in_a_header(worker, ask):
    assert ask("secret", headers={"X-Secret": "a secret"}).json() == {"ok": True}
    assert [ask("secret").status, ask("secret", headers={"X-Secret": "no"}).status] == [403, 403]
    assert worker.fetch("/gallery/secret", headers={"X-Secret": "a secret"}).status == 403


def test_another_origin(ask):
    answer = ask("origin").json()
    assert (answer["host"], answer["path"]) == ("other.example.com", "/gallery/origin")


def test_redirects(ask):
    assert (ask("redirects/b").status, ask("redirects/b").headers["Location"]) == (302, f"{SITE}/b")
    assert ask("redirects/c").status == 404


def test_conditions(ask):
    assert ask("conditions/a.xml").status == 403
    assert ask("conditions", headers={"User-Agent": "a bot"}).status == 403
    assert ask("conditions", "POST").text == "a POST is well"


def test_data_loss(ask):
    assert ask("loss").json()["mail"] == "***"


def test_debugging(ask, site):
    assert ask("debugging").json() == {"well": False}
    assert [said["body"] for said in site.asked if said["path"] == "/log"] == ["status 500"]


def test_cookie(ask):
    assert ask("cookie", headers={"Cookie": "a=b; uid=42"}).text == "42"
    assert ask("cookie").text == "no such cookie"


def test_another_site(ask):
    assert ask("another").json()["host"] == "site.example.com"
    assert ask("another", "POST").status == 405


def test_fetch_json(ask):
    assert ask("json").json() == "/data"


def test_hot_link(ask):
    assert ask("hot", headers={"Referer": "https://other.example.com/"}).status == 302
    assert ask("hot").text == "p { color: green }\n"


def test_log_headers(worker, ask):
    ask("log", headers={"X-Example": "seen"})
    log = "\n".join(worker.logs)
    assert "'x-example': 'seen'" in log and "jwt-assertion" not in log


def test_modify_request(ask):
    answer = ask("request").json()
    assert (answer["method"], answer["body"], answer["example"]) == ("POST", '{"a": 1}', "yes")


def test_modify_response(ask):
    answer = ask("response")
    assert (answer.status, answer.json()["added"]) == (202, True)


def test_read_post(ask):
    assert ask("post", "POST", json={"a": 1}).json() == {"json": {"a": 1}}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask("post", "POST", headers=form, body="name=Ann+B").json() == {"form": "Ann B"}


def test_html(ask):
    answer = ask("html?name=%3Cb%3E")
    assert answer.text == "<!doctype html><h1>Hello &lt;b&gt;</h1>"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_return_json(ask):
    answer = ask("return")
    assert answer.json() == {"hello": "world"}
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_security_headers(ask):
    headers = ask("security").headers
    assert headers["X-Frame-Options"] == "DENY" and "X-Powered-By" not in headers


def test_sign(worker, ask):
    query = ask("sign").json()["query"]
    assert ask(f"verify{query}").json() == {"ok": True}
    assert ask(f"verify{query}0").status == 403
    assert ask("verify").status == 400
    worker.advance(120)
    assert ask(f"verify{query}").status == 403
