"""Tests of your RPC methods. Yours from the first copy on: an update never touches this file.

A test is a call and what must come back. `worker` runs this project in the Python of the real
runtime, `props` is what the calling Worker's binding says. What it can do:
`uv run python -c "help('private_worker.testing')"`.
"""

CALLER = {"caller": "caller"}  # the Worker that may call in tests


def test_whoami(worker):
    answer = worker.call("whoami", props=CALLER)
    assert answer == {"ok": True, "value": {"kind": "binding", "worker": "caller"}}


def test_another_worker_stays_outside(worker):
    answer = worker.call("whoami", props={"caller": "other"})
    assert answer == {"ok": False, "error": "forbidden"}


def test_greet(worker):
    answer = worker.call("greet", "Ada", props=CALLER)
    assert answer == {"ok": True, "value": "Hello Ada, says caller"}


def test_greet_nobody(worker):
    for name in ("", None, 7, "x" * 101):
        answer = worker.call("greet", name, props=CALLER)
        assert (answer["ok"], answer["error"]) == (False, "bad_request")
