"""Tests of your API. Yours from the first copy on: an update never touches this file.

A test is a request and what must come back. `worker` runs this project in the Python of the real
runtime; `access` stands in for Cloudflare Access and makes real tokens. What they can do:
`uv run python -c "help('private_worker.testing')"`.
"""

from private_worker.testing.access import MACHINE, PERSON  # who may come in


def test_strangers_stay_outside(worker):
    response = worker.fetch("/")
    assert response.status == 403
    assert response.json() == {"error": "forbidden"}


def test_a_person_comes_in(worker, access):
    response = worker.fetch("/", headers=access.person(PERSON))
    assert response.status == 200
    assert response.json() == {"ok": True, "identity": {"kind": "human", "email": PERSON}}


def test_another_person_does_not(worker, access):
    assert worker.fetch("/", headers=access.person("other@example.com")).status == 403


def test_a_machine_comes_in(worker, access):
    response = worker.fetch("/", headers=access.machine(MACHINE))
    assert response.status == 200
    assert response.json() == {"ok": True, "identity": {"kind": "machine", "client_id": MACHINE}}


def test_another_machine_does_not(worker, access):
    assert worker.fetch("/", headers=access.machine("other.access")).status == 403


def test_a_bound_worker_comes_in(worker):
    response = worker.fetch("/", entrypoint="Internal", props={"caller": "caller"})
    assert response.status == 200
    assert response.json() == {"ok": True, "identity": {"kind": "binding", "worker": "caller"}}


def test_another_worker_does_not(worker):
    response = worker.fetch("/", entrypoint="Internal", props={"caller": "other"})
    assert response.status == 403


def test_echo(worker, access):
    response = worker.fetch("/echo", method="POST", json={"a": [1, 2]}, headers=access.person())
    assert response.status == 200
    assert response.json() == {"ok": True, "body": {"a": [1, 2]}}


def test_echo_of_nonsense(worker, access):
    for body in ("", "{", "[" * 10_000):
        response = worker.fetch(
            "/echo",
            method="POST",
            headers={**access.person(), "Content-Type": "application/json"},
            body=body,
        )
        assert response.status == 400
        assert response.json() == {"error": "bad_request"}


def test_head(worker, access):
    response = worker.fetch("/", method="HEAD", headers=access.person())
    assert (response.status, response.body) == (200, b"")


def test_unknown_path(worker, access):
    response = worker.fetch("/no-such-path", headers=access.person())
    assert response.status == 404
    assert response.json() == {"error": "not_found"}


def test_wrong_method(worker, access):
    response = worker.fetch("/", method="DELETE", headers=access.person())
    assert response.status == 405
    assert "GET" in response.headers["Allow"]
