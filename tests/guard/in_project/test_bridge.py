"""Runs inside a rendered project with FastAPI, with bridge_api.py: see test_in_project.py.

Whatever goes wrong in an application, its caller gets JSON of the one form.
"""

import json

import pytest

from private_worker.testing.access import PERSON


@pytest.fixture
def ask(worker, access):
    def ask(path, **request):
        headers = {**access.person(), "Content-Type": "application/json"}
        return worker.fetch(path, headers=headers, **request)

    return ask


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, "bad_request"),
        (401, "unauthorized"),
        (404, "not_found"),
        (405, "method_not_allowed"),
        (409, "conflict"),
        (429, "too_many_requests"),
        (503, "service_unavailable"),
    ],
)
def test_error_of_the_application(code, error, ask):
    """Its status and headers stay; its text is for no caller."""
    answer = ask(f"/status/{code}")
    assert (answer.status, answer.json()) == (code, {"error": error})
    assert answer.headers["X-More"] == "1"
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_status_without_a_name(ask):
    answer = ask("/status/499")
    assert (answer.status, answer.json()) == (499, {"error": "error"})


@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "image/png", "application/vnd.api", "text/plain", ""]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_deep_json_of_any_type(kind, encoding, worker, access):
    """`request.json()` looks at no type, and its parser would end the isolate."""
    headers = {**access.person(), "Content-Type": kind}
    for body in ("[" * 8000 + "]" * 8000, "[" * 100_000):
        answer = worker.fetch(
            "/by-hand", method="POST", headers=headers, body=body.encode(encoding)
        )
        assert (answer.status, answer.json()) == (400, {"error": "bad_request"})
    assert worker.fetch("/by-hand", method="POST", headers=headers, body="[1]").json() == [1]


def test_lifespan_of_the_application(ask):
    assert ask("/started").json() is True


def test_head_of_what_can_be_read(ask):
    answer = ask("/number?n=1", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_why_arguments_do_not_fit_is_in_the_log(ask, worker):
    """Without anything that was sent, a made-up key included."""
    assert ask("/number?n=private-value").status == 400
    assert "int_parsing in query" in worker.logs[-1] and "private" not in worker.logs[-1]
    assert ask("/counts", method="POST", body='{"private-key": "private-value"}').status == 400
    assert "int_parsing in body" in worker.logs[-1] and "private" not in worker.logs[-1]


def test_arguments_that_do_not_fit(ask):
    for answer in (ask("/number?n=a"), ask("/number"), ask("/echo", method="POST", body="1")):
        assert (answer.status, answer.json()) == (400, {"error": "bad_request"})


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"[NaN]", b'{"a": 1, "a": 2}', rb'["\ud800"]', b"\xff", b"[" * 10_000),
        # Python's json would take it, and a byte of U+2200 looks like a quote.
        ('["\u2200",' + "[" * 7000 + "]" * 7000 + "]").encode("utf-16-le"),
    ],
    ids=lambda body: repr(body[:9]),
)
def test_no_json(body, ask):
    answer = ask("/echo", method="POST", body=body)
    assert (answer.status, answer.json()) == (400, {"error": "bad_request"})
    assert ask("/echo", method="POST", body='["\u2200"]').json() == {"body": ["\u2200"]}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_body_of_a_request_that_only_reads(method, ask):
    """It is looked at like any other, and goes no further: no new request may have one."""
    for body in ("[1]", ""):
        assert ask("/body", method=method, body=body).status == 200
    assert ask("/body", method=method, body="[" * 7000).status == 400
    assert ask("/body", body="[1]").json() == {"body": None}


@pytest.mark.parametrize("how", ["mistake", "cancelled"])
def test_mistake(how, ask, worker):
    answer = ask(f"/fail/{how}")
    body = answer.json()
    reference = body.pop("reference")
    assert (answer.status, body) == (500, {"error": "internal_error"})
    told = [line for line in worker.logs if "only for us" in line]
    assert any(reference in line for line in told) and (len(told) == 1 or how == "cancelled")


def test_who_has_the_roles_gets_through(worker, access):
    roles = {"admin": [PERSON], "reader": ["@example.com"]}
    worker.load(env={**worker.env, "ROLES": roles})
    answer = worker.fetch("/admin", headers=access.person())
    assert (answer.status, answer.json()) == (200, {"email": PERSON, "roles": ["admin", "reader"]})
    assert worker.fetch("/within", headers=access.person()).status == 200


@pytest.mark.parametrize(
    ("path", "roles"),
    [
        ("/admin", {}),
        ("/admin", {"admin": [PERSON]}),
        ("/admin", {"reader": [PERSON]}),
        ("/within", {"admin": [], "reader": [PERSON]}),
        ("/programs", {"admin": [PERSON]}),
        ("/around/one/x", {}),
        ("/around/all/x", {}),
        ("/bare/x", {}),
    ],
)
def test_without_a_role_the_one_403(path, roles, worker, access):
    """Byte by byte what a stranger gets, with the guard's line for the log, and no traceback."""
    worker.load(env={**worker.env, "ROLES": roles})
    answer, stranger = worker.fetch(path, headers=access.person()), worker.fetch(path)
    assert (answer.status, answer.body) == (403, stranger.body)
    assert list(answer.headers) == list(stranger.headers)
    assert '"reason": "role"' in worker.logs[-2] and "Traceback" not in "".join(worker.logs)


def test_the_log_has_the_route(worker, access):
    """FastAPI's own template, without what was asked for; none where nothing answers."""
    worker.load(env={**worker.env, "LOG_WHO": "name"})
    for path in ("/status/409", "/number?n=private", "/fail/mistake", "/private", "/around/free/x"):
        worker.fetch(path, headers=access.person())
    lines = [json.loads(line) for line in worker.logs if '"answer"' in line]
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/status/{code}", 409),
        ("/number", 400),
        ("/fail/{how}", 500),
        (None, 404),
        ("/free/{name}", 200),
    ]
    assert {line["who"] for line in lines} == {PERSON}


def test_a_route_that_is_no_text(worker, access):
    """A mistake of the application's own is not what keeps an answer back."""
    worker.load(env={**worker.env, "LOG_WHO": "name"})
    assert worker.fetch("/number-as-route", headers=access.person()).status == 500
    assert json.loads(worker.logs[-1])["route"] == "7"
