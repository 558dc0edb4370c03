"""The recipe for methods. tests/docs/test_writing.py runs this in a project that has it."""


def test_a_role_of_a_method(worker):
    call = {"props": {"caller": "caller"}}
    assert worker.call("delete_all", **call) == {"ok": False, "error": "forbidden"}
    worker.load(env={**worker.env, "ROLES": {"admin": ["caller"]}})
    assert worker.call("delete_all", **call) == {"ok": True, "value": "done"}


def test_methods(worker):
    answer = worker.call("hello", "you", props={"caller": "caller"})
    assert answer == {"ok": True, "value": "Hello you"}
    answer = worker.call("hello", "you", props={"caller": "other"})
    assert answer == {"ok": False, "error": "forbidden"}
