"""The notebook's own tests."""

import pytest

from private_worker.testing.access import PERSON
from private_worker.testing.runtime import WorkerError

FORM = (
    '--x\r\nContent-Disposition: form-data; name="file"; filename="a b.txt"\r\n'
    "Content-Type: text/plain\r\n\r\n{}\r\n--x--\r\n"
)


@pytest.fixture
def ask(worker, access):
    def ask(path, method="GET", headers=None, **request):
        return worker.fetch(
            path, method=method, headers={**access.person(), **(headers or {})}, **request
        )

    return ask


def test_page_with_style_and_script(ask):
    page = ask("/")
    assert page.status == 200 and "/site/app.js" in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert ask("/site/app.css").headers["Content-Type"].startswith("text/css")
    assert "fetch" in ask("/site/app.js").text
    assert ask("/site/nothing.js").status == 404


def test_files_beside_are_private(worker):
    for path in ("/site/app.js", "/app.js", "/"):
        assert worker.fetch(path).status == 403


def test_notes(ask):
    assert ask("/notes").json() == {"notes": [], "looks": 1}
    assert ask("/notes", "POST", json={"text": "Buy milk"}).status == 201
    [note] = ask("/notes").json()["notes"]
    assert note == {"id": 1, "text": "Buy milk", "author": PERSON}


def test_every_test_starts_empty(ask):
    assert ask("/notes").json() == {"notes": [], "looks": 1}


@pytest.mark.parametrize("body", ["", "x" * 1001, None])
def test_bad_note(body, ask):
    assert ask("/notes", "POST", json={"text": body}).status == 400


def test_the_database_keeps_its_own_rules(ask):
    """The trigger of a migration."""
    assert ask("/notes", "POST", json={"text": "  "}).status == 500


def test_too_many_notes(ask):
    answers = [ask("/notes", "POST", json={"text": "x"}).status for _ in range(6)]
    assert answers == [201] * 5 + [429]


def test_upload(ask):
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = ask("/files", "POST", kind, body=FORM.format("hello"))
    assert (answer.status, answer.json()) == (201, {"ok": True, "name": "a b.txt"})
    assert ask("/files/a%20b.txt").body == b"hello"
    assert ask("/files/other").status == 404


def test_upload_that_is_too_large(ask):
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = ask("/files", "POST", kind, body=FORM.format("x" * 100_000))
    assert (answer.status, answer.json()) == (413, {"error": "content_too_large"})


async def old_note(env):
    await env.DB.prepare(
        "INSERT INTO notes (text, author, at) VALUES ('old', 'me', datetime('now', '-31 days')), "
        "('new', 'me', datetime('now', '-29 days'))"
    ).run()


async def cached(env, key):
    return await env.CACHE.get(key)


def test_old_notes_go_at_night(worker, ask):
    worker.run(old_note)
    worker.scheduled("17 3 * * *")
    assert [note["text"] for note in ask("/notes").json()["notes"]] == ["new"]
    assert worker.run(cached, "cleaned") == "17 3 * * *"


def test_words_are_counted(worker, ask):
    ask("/notes", "POST", json={"text": "two words"})
    assert worker.sent == [("JOBS", {"text": "two words"})]
    bodies = [body for _, body in worker.sent]
    assert worker.queue("notes-jobs", [*bodies, {"text": None}]) == ["ack", "retry"]
    assert worker.run(cached, "words") == "2"
    with pytest.raises(WorkerError, match="src/events.py:13: in queue"):
        worker.queue("notes-jobs", [{}])


def test_the_counter_counts_for_each_name(worker):
    looks = worker.durable_object("COUNTER", "looks")
    assert [looks.call("add", 2), looks.call("add", 3)] == [2, 5]
    assert worker.durable_object("COUNTER", "other").call("add", 1) == 1


def test_made_up_events(worker):
    for handler in ("scheduled", "queue"):
        answer = worker.call(handler, {"cron": "17 3 * * *"}, entrypoint="Default")
        assert answer == {"ok": False, "error": "forbidden"}
    assert worker.run(cached, "cleaned") is None
