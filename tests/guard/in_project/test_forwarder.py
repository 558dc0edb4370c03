"""Runs inside a rendered project, where `billing` also takes POST: see test_in_project.py."""

import http.server
import threading

import pytest


@pytest.fixture
def seen(worker):
    """A private service behind the VPC binding; the list of what has reached it."""
    requests = []

    class Service(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            names = {name.lower(): value for name, value in self.headers.items()}
            requests.append((self.command, self.path, names, body))
            moved = self.path == "/moved"
            self.send_response(302 if moved else 500 if self.path == "/broken" else 200)
            for name, value in {
                "Location": "http://inside.example.com/secret",
                "Set-Cookie": "session=1",
                "Content-Security-Policy": "default-src 'none'",
                "ETag": '"1"',
                "Content-Length": "2",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok")

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    worker.load(env={**worker.env, "BILLING": {"$fetcher": url}})
    yield requests
    server.shutdown()
    server.server_close()


def test_request_and_answer(worker, access, seen):
    sent = {
        **access.person(),
        "Cookie": "CF_Authorization=x",
        "Authorization": "Bearer x",
        "CF-Access-Client-Secret": "x",
        "Private-Worker-Caller": "human boss%40example.com",
        "X-Forwarded-For": "192.0.2.1",
        "Range": "bytes=0-1",
    }
    response = worker.fetch("/billing/a/b?x=1", headers=sent)
    assert (response.status, response.body) == (200, b"ok")
    assert not {"set-cookie", "location", "server"} & set(response.headers)
    assert response.headers["etag"] == '"1"'
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "default-src 'none', sandbox"
    assert response.headers["cache-control"] == "private, no-store"
    [(method, path, names, _)] = seen
    assert (method, path) == ("GET", "/a/b?x=1")
    assert names["private-worker-caller"] == "human person%40example.com"
    assert names["range"] == "bytes=0-1"
    allowed = {"range", "private-worker-caller", "host", "connection", "accept"}
    assert set(names) <= allowed


@pytest.mark.parametrize(
    "path",
    [
        *("//evil.example.com", "/http://evil.example.com", "/a//b", "/..%2f", "/%252e%252e/x"),
        *("/;..", "/..;/x", "/a%5c..%5cb", "/%2e%2e%2fx", "/a/%00", "/a/%252f/../b%252f..%252fc"),
    ],
)
def test_path_stays_inside(path, worker, access, seen):
    response = worker.fetch(f"/billing{path}", headers=access.person())
    assert (response.status, response.json()) == (404, {"error": "not_found"})
    assert seen == []


@pytest.mark.parametrize("path", ["/moved", "/broken"])
def test_what_tells_of_the_inside_is_not_passed_on(path, worker, access, seen):
    response = worker.fetch(f"/billing{path}", headers=access.person())
    assert (response.status, response.json()) == (502, {"error": "upstream_failed"})
    assert "location" not in response.headers


def test_unreachable(worker, access):
    worker.load(env={**worker.env, "BILLING": {"$fetcher": "http://127.0.0.1:1"}})
    response = worker.fetch("/billing/", headers=access.person())
    assert (response.status, response.json()) == (502, {"error": "upstream_unreachable"})


def test_strangers_and_methods(worker, access, seen):
    assert worker.fetch("/billing/").status == 403
    response = worker.fetch("/billing/", method="DELETE", headers=access.person())
    assert (response.status, response.json()) == (405, {"error": "method_not_allowed"})
    assert seen == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://worker.example.com"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_pages_of_other_sites_change_nothing(headers, status, worker, access, seen):
    sent = {**access.person(), **headers}
    response = worker.fetch("/billing/pay", method="POST", headers=sent, body="x")
    assert response.status == status
    assert [body for *_, body in seen] == ([b"x"] if status == 200 else [])
    assert worker.fetch("/billing/", headers=sent).status == 200  # reading is as before
