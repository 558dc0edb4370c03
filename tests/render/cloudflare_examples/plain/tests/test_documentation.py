"""The examples on the Python page of Cloudflare's documentation."""

import pytest


@pytest.fixture
def ask(worker, access):
    def ask(path, method="GET", **request):
        return worker.fetch(path, method=method, headers=access.person(), **request)

    return ask


def test_parse_url(ask):
    assert ask("/query?name=Ann%20B").text == "Hello Ann B"
    assert ask("/query").text == "Hello world"


def test_parse_json(ask):
    assert ask("/body", "POST", json={"name": "Ann"}).json() == {"hello": "Ann"}
    assert ask("/body", "POST", json=[]).status == 400


def test_bundled_file(ask):
    answer = ask("/page")
    assert "A file beside the code" in answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_logs(worker, ask):
    ask("/logs")
    log = "\n".join(worker.logs)
    assert all(f"by {way}" in log for way in ("console", "logging", "print"))


def test_publish_to_queue(worker, ask):
    ask("/publish")
    assert worker.sent == [("QUEUE", "hello"), ("QUEUE", {"hello": "world"})]


def test_d1_tables(ask):
    assert "quotes" in ask("/tables").json()["tables"]


def test_durable_object_sql(worker):
    assert worker.durable_object("LISTS", "any").call("greeting") == "Hello"
