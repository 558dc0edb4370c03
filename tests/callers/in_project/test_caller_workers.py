{%- import 'includes/shape.jinja' as shape with context -%}
# Managed by the private-worker template: do not edit, an update replaces it.
"""The Workers in callers/ call this one: their real code, through the binding that they declare.

They are examples. Where your API no longer has what they ask for, the tests are skipped.
"""

import json
{%- if shape.rpc %}
import re
{%- endif %}
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.project import read_jsonc
from kit.runtime import OtherWorker, {{ 'RpcError, ' if shape.rpc }}Runtime, Worker, WorkerError

CALLER = "caller"  # the name in place of a placeholder

Lines = list[dict[str, Any]]
Run = Callable[..., None]


@pytest.fixture(params=["worker-python", "worker-typescript"])
def folder(request: pytest.FixtureRequest, project_root: Path) -> Path:
    return project_root / "callers" / request.param


@pytest.fixture
def config(folder: Path) -> dict[str, Any]:
    return read_jsonc(folder / "wrangler.jsonc")


@pytest.fixture
def props(config: dict[str, Any]) -> dict[str, Any]:
    """What the caller's binding says about it."""
    declared = config["services"][0]["props"]
    return {"caller": CALLER} if unnamed(declared["caller"]) else declared


@pytest.fixture
def run(worker: Worker, folder: Path, config: dict[str, Any], props: dict[str, Any]) -> Run:
    """Let the caller's Cron Trigger fire once.

    binding: changes in its service binding, other names: in its vars
    """
    service = config["services"][0]
    worker.load(env=worker.env | {"ALLOWED_WORKERS": [props["caller"]]})
    expect_seeds(worker, config["vars"], props)

    def run(binding: dict[str, Any] | None = None, **changes: Any) -> None:
        bound = {"$entrypoint": service["entrypoint"], "props": props} | (binding or {})
        env = config["vars"] | changes | {service["binding"]: bound}
        worker.load(beside={CALLER: OtherWorker(folder / config["main"], env)})
        worker.scheduled(config["triggers"]["crons"][0], worker=CALLER)

    return run


def lines(worker: Worker, *events: str) -> Lines:
    """The log lines of these kinds; both Workers write into one log."""
    said = [json.loads(line) for line in worker.logs if line.startswith("{")]
    return [line for line in said if line["event"] in events]


def decisions(worker: Worker) -> list[str]:
    return [line["decision"] for line in lines(worker, "guard")]


def expect_seeds(worker: Worker, asked: dict[str, str], props: dict[str, Any]) -> None:
    """Skip where the API is no longer the one that the examples were written for."""
{%- if shape.rpc %}
    try:
        answer = worker.call("greet", asked["NAME"], props=props)
    except RpcError as error:
        if "Method greet does not exist" not in error.message:
            raise
        pytest.skip("there is no method `greet`, which the callers call")
    if answer.get("error") in ("bad_request", "internal_error"):
        pytest.skip("`greet` does not take one name, as the callers give it")
{%- endif %}
{%- if shape.bound_fetch %}
    status = worker.fetch(asked["API_PATH"], entrypoint="Internal", props=props).status
    if status not in (200, 403, 500):
        pytest.skip(f"`{asked['API_PATH']}` answers {status}, and the callers expect 200")
{%- endif %}


def unnamed(name: str) -> bool:
    return name.startswith("REPLACE_WITH")


def test_let_in(run: Run, worker: Worker, config: dict[str, Any], props: dict[str, Any]) -> None:
    """The caller prints what the API answers to its name."""
    run()
    printed = lines(worker, "greeting", "answer")
    assert decisions(worker) == ["allow"] * len(printed)
    expected = []
{%- if shape.rpc %}
    greeting = worker.call("greet", config["vars"]["NAME"], props=props)["value"]
    expected.append({"event": "greeting", "value": greeting})
{%- endif %}
{%- if shape.bound_fetch %}
    answer = worker.fetch(config["vars"]["API_PATH"], entrypoint="Internal", props=props).json()
    expected.append({"event": "answer", "value": answer})
{%- endif %}
    assert printed == expected


@pytest.mark.parametrize("props_", [None, {}, {"caller": "other"}], ids=repr)
def test_another_name(props_: Any, run: Run, worker: Worker) -> None:
    """A binding without the right name: the run fails, and the log here says why."""
    with pytest.raises(WorkerError, match="PrivateApiError: .*forbidden"):
        run(binding={"props": props_})
    assert decisions(worker) == ["refuse"]


def test_nobody_named(run: Run, worker: Worker) -> None:
    """A placeholder in ALLOWED_WORKERS keeps the Worker closed."""
    worker.env["ALLOWED_WORKERS"] = ["REPLACE_WITH_CALLING_WORKER"]
    with pytest.raises(WorkerError, match="PrivateApiError: .*not_configured"):
        run()
    assert decisions(worker) == ["not_configured"]


def test_binding_without_entrypoint(run: Run, worker: Worker) -> None:
    """It leads to the public door, where the name in a binding opens nothing."""
    with pytest.raises(WorkerError):
        run(binding={"$entrypoint": "Default"})
    assert "allow" not in decisions(worker) and not lines(worker, "greeting", "answer")
{%- if shape.rpc %}


def test_bad_argument(run: Run, worker: Worker, props: dict[str, Any]) -> None:
    """What a method rejects ends the run. The reference leads to the line in the log here."""
    if worker.call("greet", "", props=props)["ok"]:
        pytest.skip("`greet` takes an empty name")
    with pytest.raises(WorkerError, match="PrivateApiError: bad_request ") as error:
        run(NAME="")
    reference = re.search(r"bad_request ([0-9a-f-]{36})", error.value.message)[1]
    assert [line["reference"] for line in lines(worker, "error")] == [reference]
{%- endif %}
{%- if shape.bound_fetch %}


def test_nothing_at_the_path(run: Run, worker: Worker, props: dict[str, Any]) -> None:
    """Any status but 200 ends the run, and the caller says which."""
    status = worker.fetch("/nothing-here", entrypoint="Internal", props=props).status
    if status == 200:
        pytest.skip("every path has an answer")
    with pytest.raises(WorkerError, match=f"PrivateApiError: {status} "):
        run(API_PATH="/nothing-here")
{%- endif %}


def test_caller_takes_no_requests(run: Run, worker: Worker, config: dict[str, Any]) -> None:
    """It would lend its name to whoever sends them."""
    run()
    before = decisions(worker)
    for entrypoint in ("Default", "Internal"):
        assert worker.fetch("/", worker=CALLER, entrypoint=entrypoint).status == 500
    assert decisions(worker) == before
    assert (config["workers_dev"], config["preview_urls"], config["routes"]) == (False, False, [])


def test_binding_leads_here(
    config: dict[str, Any], project_root: Path, kit_runtime: Runtime
) -> None:
    """The callers name this Worker and its entrypoint, and are named in ALLOWED_WORKERS."""
    assert len(config["services"]) == 1
    service = config["services"][0]
    assert service["service"] == read_jsonc(project_root / "wrangler.jsonc")["name"]
    assert service["entrypoint"] == "Internal"
    assert set(service["props"]) == {"caller"}
    caller = service["props"]["caller"]
    allowed = kit_runtime.project.vars["ALLOWED_WORKERS"]
    names = allowed.split(",") if isinstance(allowed, str) else allowed
    if unnamed(caller) or "*" in names or any(map(unnamed, names)):
        return  # not filled in yet, or whoever has a binding
    assert caller in [name.strip() for name in names], (
        "set the answer `calling_workers` to the names in ALLOWED_WORKERS: "
        "`uvx copier update --vcs-ref=:current: --defaults --data 'calling_workers=<names>'`"
    )
