"""The recipe for roles. tests/docs/test_writing.py runs this in a project that has it."""

from pathlib import Path

from private_worker.project import read
from private_worker.testing.access import MACHINE, PERSON

SHAPE = read(Path(__file__).parents[1]).shape
METHOD = {"props": {"caller": "caller"}}


def test_roles(worker, request):
    """Neither the page nor the method, until the caller has the role."""
    proof = {}
    if SHAPE.edge:
        access = request.getfixturevalue("access")
        proof = {"headers": access.person() if SHAPE.humans else access.machine()}
    if SHAPE.edge:
        assert worker.fetch(f"{SHAPE.base}/admin", **proof).status == 403
    if SHAPE.rpc:
        assert worker.call("delete_all", **METHOD) == {"ok": False, "error": "forbidden"}
    worker.load(env={**worker.env, "ROLES": {"admin": [PERSON, MACHINE, "caller"]}})
    if SHAPE.edge:
        assert worker.fetch(f"{SHAPE.base}/admin", **proof).json() == {"ok": True}
    if SHAPE.rpc:
        assert worker.call("delete_all", **METHOD) == {"ok": True, "value": "done"}
