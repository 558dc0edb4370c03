"""Other Workers that call methods of `Internal`: over RPC everything that can be called answers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from private_worker.testing.runtime import RpcError, Worker, WorkerError

from .lib import Load, only, shape

GATEWAY = {"caller": "gateway"}
CALLERS = {
    "no props": None,
    "empty": {},
    "empty name": {"caller": ""},
    "null": {"caller": None},
    "number": {"caller": 7},
    "list": {"caller": ["gateway"]},
    "object": {"caller": {"name": "gateway"}},
    "another Worker": {"caller": "other"},
    "upper case": {"caller": "Gateway"},
    "longer": {"caller": "gateway2"},
    "anyone": {"caller": "*"},
}


def failed(answer: Any, error: Any) -> Any:
    """A short, fixed answer: the reference and nothing else may vary."""
    reference = answer.pop("reference")
    return answer == {"ok": False, "error": error} and len(reference) == 36


def test_bound_worker(worker: Worker) -> None:
    answer = worker.call("whoami", props=GATEWAY)
    assert answer == {"ok": True, "value": {"kind": "binding", "worker": "gateway"}}
    line = json.loads(worker.logs[-1])
    assert (line["event"], line["decision"], line["caller"]) == ("guard", "allow", "binding")


@pytest.mark.parametrize("props", CALLERS.values(), ids=CALLERS)
@pytest.mark.parametrize("method", ["whoami", "add", "fail"])
def test_another_caller(method: Any, props: Any, worker: Worker) -> None:
    assert worker.call(method, props=props) == {"ok": False, "error": "forbidden"}
    line = json.loads(worker.logs[-1])
    assert (line["event"], line["decision"], line["ray"]) == ("guard", "refuse", None)


def test_allowed_workers(load: Load) -> None:
    for listed in (["*"], "*", ["other", "gateway"], "other, gateway"):
        assert load(ALLOWED_WORKERS=listed).call("whoami", props=GATEWAY)["ok"]


def test_anyone_still_needs_a_name(load: Load) -> None:
    worker = load(ALLOWED_WORKERS=["*"])
    for props in (None, {}, {"caller": ""}):
        assert worker.call("whoami", props=props) == {"ok": False, "error": "forbidden"}


@pytest.mark.parametrize(
    "value",
    [None, "", " ", [], [""], 7, True, {"gateway": 1}, [7], "gateway,", ["REPLACE_WITH_IT"]],
    ids=repr,
)
def test_bad_list(value: Any, load: Load) -> None:
    worker = load(ALLOWED_WORKERS=value)
    assert worker.call("whoami", props=GATEWAY) == {"ok": False, "error": "not_configured"}
    assert json.loads(worker.logs[-1])["setting"] == "ALLOWED_WORKERS"


def test_no_list(load: Load) -> None:
    worker = load(drop=("ALLOWED_WORKERS",))
    assert worker.call("whoami", props=GATEWAY) == {"ok": False, "error": "not_configured"}


# ---------------------------------------------------------------- what can be called


def members(worker: Worker) -> Any:
    """Names that an attacker would try: Python's own, the SDK's, the guard's, the modules'."""
    python = {name for kind in (object, type, dict, BaseException) for name in dir(kind)}
    ours = {"_call", "_exposed", "_check_result", "caller", "serve", "public", "helper", "nested"}
    runtime = {"alarm", "connect", "email", "queue", "scheduled", "tail", "env", "ctx", "dup"}
    guesses = {"_x", "__x", "_Entrypoint__x", "_Internal__x", "answer", "methods", "METHODS", "js"}
    return sorted(python | ours | runtime | guesses)


def test_nothing_else_can_be_called(worker: Worker) -> None:
    """A method is what METHODS names; nothing of Python, the SDK or the guard is one."""
    props = GATEWAY
    reached = []
    for name in members(worker):
        try:
            answer = worker.call(name, props=props)
        except RpcError:
            continue
        if answer != {"ok": False, "error": "forbidden"}:
            reached.append((name, answer))
    assert reached == []


@pytest.mark.parametrize("name", ["env", "ctx", "__dict__", "_env"])
def test_nothing_can_be_read(name: Any, worker: Worker) -> None:
    for arguments in ((), ("TEAM_DOMAIN",), ("env",)):
        with pytest.raises(RpcError):
            worker.call(name, *arguments, props=GATEWAY)
    for getter in ("__getattribute__", "__getattr__", "__getitem__"):
        with pytest.raises(RpcError):
            worker.call(getter, name, props=GATEWAY)


@only(not shape().bound_fetch)
def test_no_requests(worker: Worker) -> None:
    """Only methods: `Internal` has no fetch."""
    assert worker.fetch(entrypoint="Internal", props=GATEWAY).status == 500
    with pytest.raises(RpcError):
        worker.call("fetch", "https://worker.example.com/", props=GATEWAY)


def test_methods_of_internal_are_not_on_default(worker: Worker) -> None:
    """The inner door does not open from the outer one."""
    for name in ("whoami", "add", "fail", "_call"):
        with pytest.raises(RpcError, match=f"Method {name} does not exist"):
            worker.call(name, "env", entrypoint="Default", props=GATEWAY)


@pytest.mark.parametrize(
    "name",
    [
        *("alarm", "connect", "ctx", "dup", "email", "env", "fetch", "queue", "scheduled", "tail"),
        *("_hidden", "__init__", "__class__"),
    ],
)
def test_reserved_name_stops_the_deploy(name: Any, load: Load, probe_source: Path) -> None:
    """The runtime gives these a meaning of its own."""
    method = f"async def {name}(caller, env):\n    return 1\n\n\nMETHODS = ({name},)\n"
    refused(f"cannot be called {name}", method, load, probe_source)


@pytest.mark.parametrize(
    "source, said",
    [
        ("async def greet(caller, env): ...\nMETHODS = (greet)\n", "METHODS is a tuple"),
        ("def greet(caller, env): ...\nMETHODS = (greet,)\n", "is not an async function"),
        ("METHODS = ('greet',)\n", "METHODS: 'greet' is not an async function"),
    ],
)
def test_what_is_no_method_stops_the_deploy(
    source: str, said: str, load: Load, probe_source: Path
) -> None:
    refused(said, source, load, probe_source)


@pytest.mark.parametrize("kind", ["tuple", "list"])
def test_methods_may_be_listed_as_either(kind: str, load: Load, probe_source: Path) -> None:
    method = f"async def greet(caller, env):\n    return 1\n\n\nMETHODS = {kind}([greet])\n"
    with instead_of_methods(method, probe_source):
        assert load().call("greet", props={"caller": "gateway"})["value"] == 1


def refused(said: str, source: str, load: Load, probe_source: Path) -> None:
    with instead_of_methods(source, probe_source), pytest.raises(WorkerError, match=said):
        load()


@contextmanager
def instead_of_methods(source: str, probe_source: Path) -> Iterator[None]:
    file = probe_source / "internal.py"
    before = file.read_text(encoding="utf-8")
    file.write_text(source, encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(before, encoding="utf-8")


# ---------------------------------------------------------------- arguments and results


def test_arguments(worker: Worker) -> None:
    assert worker.call("add", 1, 2, props=GATEWAY) == {"ok": True, "value": 3}
    assert worker.call("add", 1, props=GATEWAY) == {"ok": True, "value": 2}


@pytest.mark.parametrize("arguments", [(), (1, 2, 3), (1, 2, {"first": 1})], ids=repr)
def test_wrong_number_of_arguments(arguments: Any, worker: Worker) -> None:
    assert failed(worker.call("add", *arguments, props=GATEWAY), "bad_request")


@pytest.mark.parametrize("arguments", [("a", 1), ([], {}), (None, None)], ids=repr)
def test_arguments_that_do_not_fit(arguments: Any, worker: Worker) -> None:
    assert failed(worker.call("add", *arguments, props=GATEWAY), "internal_error")


@pytest.mark.parametrize("argument", [{"constructor": 1}, [{"constructor": None}]], ids=repr)
def test_arguments_that_the_runtime_cannot_take(argument: Any, worker: Worker) -> None:
    """It fails with them before it calls the method, so neither the guard nor the API is asked. The
    caller gets the runtime's traceback, in which nothing of this Worker stands."""
    for props in (GATEWAY, {"caller": "other"}):
        before = len(worker.logs)
        with pytest.raises(RpcError) as raised:
            worker.call("whoami", argument, props=props)
        assert "/workers/rpc.py" in raised.value.message
        assert "guard" not in raised.value.message and "ALLOWED" not in raised.value.message
        assert not [line for line in worker.logs[before:] if line.startswith("{")]
    assert worker.call("whoami", props=GATEWAY)["ok"]


def test_bad_request_and_mistake(worker: Worker) -> None:
    """Neither text nor traceback reaches the caller; the log has both, by reference."""
    mistakes = {method: "internal_error" for method in ("fail", "cancel", "leave")}
    for method, error in {"complain": "bad_request", **mistakes}.items():
        answer = worker.call(method, props=GATEWAY)
        reference = answer["reference"]
        assert failed(answer, error)
        lines = [json.loads(line) for line in worker.logs if reference in line]
        assert [line["event"] for line in lines] == ["error"]
        assert "only for the log" in lines[0]["detail"]


def test_plain_result(worker: Worker) -> None:
    answer = worker.call("give", "plain", props=GATEWAY)
    assert answer == {"ok": True, "value": {"a": [None, True, 1, 1.5, "x", b"x"]}}


def test_deepest_result(worker: Worker) -> None:
    answer = worker.call("give", "deepest", props=GATEWAY)
    assert answer["ok"] and str(answer["value"]).count("[") == 33


@pytest.mark.parametrize(
    "what",
    [
        *("too deep", "deep", "set", "tuple", "object", "function", "number as key", "inside"),
        "missing",
    ],
)
def test_result_that_cannot_cross(what: Any, worker: Worker) -> None:
    """A function, above all, could not be called at the other end."""
    assert failed(worker.call("give", what, props=GATEWAY), "internal_error")


def test_log_keeps_names(worker: Worker) -> None:
    worker.call("add", "the-argument", props={"caller": "the-other-worker"})
    assert "the-" not in "\n".join(worker.logs)
