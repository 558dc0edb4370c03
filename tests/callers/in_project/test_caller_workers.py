"""The Workers in callers/ call this one: their real code, through the binding that they declare."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from private_worker.config import Config
from private_worker.project import Shape, read
from private_worker.testing.runtime import OtherWorker, Runtime, Worker, WorkerError

CALLER = "caller"  # the name in place of a placeholder

Lines = list[dict[str, Any]]
Run = Callable[..., None]


@pytest.fixture(scope="session")
def shape(project_root: Path) -> Shape:
    return read(project_root).shape


@pytest.fixture(params=["worker-python", "worker-typescript"])
def folder(request: pytest.FixtureRequest, project_root: Path) -> Path:
    return project_root / "callers" / str(request.param)


@pytest.fixture
def config(folder: Path) -> Any:
    return Config(folder / "wrangler.jsonc").data


@pytest.fixture
def props(config: Any) -> dict[str, Any]:
    """What the caller's binding says about it."""
    declared: dict[str, Any] = config["services"][0]["props"]
    return {"caller": CALLER} if unnamed(declared["caller"]) else declared


@pytest.fixture
def run(worker: Worker, folder: Path, config: Any, props: dict[str, Any]) -> Run:
    """Let the caller's Cron Trigger fire once.

    binding: changes in its service binding, other names: in its vars
    """
    service = config["services"][0]
    worker.load(env=worker.env | {"ALLOWED_WORKERS": [props["caller"]]})

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


def unnamed(name: str) -> bool:
    return name.startswith("REPLACE_WITH")


def test_let_in(run: Run, worker: Worker, config: Any, props: dict[str, Any], shape: Shape) -> None:
    """The caller prints what the API answers to its name, by each way in that the project has."""
    run()
    expected: Lines = []
    if shape.rpc:
        greeting = f"Hello {config['vars']['NAME']}, says {props['caller']}"
        expected.append({"event": "greeting", "value": greeting})
    if shape.bound_fetch:
        identity = {"kind": "binding", "worker": props["caller"]}
        expected.append({"event": "answer", "value": {"ok": True, "identity": identity}})
    assert expected and lines(worker, "greeting", "answer") == expected
    assert decisions(worker) == ["allow"] * len(expected)


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


def test_bad_argument(run: Run, worker: Worker, shape: Shape) -> None:
    """What a method rejects ends the run. The reference leads to the line in the log here."""
    if not shape.rpc:
        pytest.skip("no method is called")
    with pytest.raises(WorkerError, match="PrivateApiError: bad_request ") as error:
        run(NAME="")
    reference = re.search(r"bad_request ([0-9a-f-]{36})", error.value.message)
    assert reference
    assert [line["reference"] for line in lines(worker, "error")] == [reference[1]]


def test_nothing_at_the_path(run: Run, shape: Shape) -> None:
    """Any status but 200 ends the run, and the caller says which."""
    if not shape.bound_fetch:
        pytest.skip("no request is sent")
    with pytest.raises(WorkerError, match="PrivateApiError: 404 "):
        run(API_PATH="/nothing-here")


def test_caller_takes_no_requests(run: Run, worker: Worker, config: Any) -> None:
    """It would lend its name to whoever sends them."""
    run()
    before = decisions(worker)
    for entrypoint in ("Default", "Internal"):
        assert worker.fetch("/", worker=CALLER, entrypoint=entrypoint).status == 500
    assert decisions(worker) == before
    assert (config["workers_dev"], config["preview_urls"], config["routes"]) == (False, False, [])


def test_binding_leads_here(config: Any, project_root: Path, kit_runtime: Runtime) -> None:
    """The callers name this Worker and its entrypoint, and are named in ALLOWED_WORKERS."""
    [service] = config["services"]
    assert service["service"] == Config(project_root / "wrangler.jsonc").data["name"]
    assert service["entrypoint"] == "Internal"
    assert set(service["props"]) == {"caller"}
    caller = service["props"]["caller"]
    allowed = kit_runtime.project.vars["ALLOWED_WORKERS"]
    assert caller in allowed or (unnamed(caller) and all(map(unnamed, allowed)))
