"""The recipe for methods. tests/docs/test_writing.py runs this in a project that has it."""


def test_methods(worker):
    answer = worker.call("hello", "you", props={"caller": "caller"})
    assert answer == {"ok": True, "value": "Hello you"}
    answer = worker.call("hello", "you", props={"caller": "other"})
    assert answer == {"ok": False, "error": "forbidden"}
