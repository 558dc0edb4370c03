"""A moment with each of the vendored tools, for the quick run. Their rules have files of their own,
among the slow tests."""

from pathlib import Path
from typing import Any

import pytest

from command_run import FILLED, project, run
from conftest import Render
from private_worker.testing.access import Access, Issuer
from private_worker.testing.needs import Project
from private_worker.testing.runtime import Runtime, Worker


@pytest.fixture(scope="module")
def folder(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in git, as its owner has it when docs/SETUP.md is done."""
    return project(rendered, tmp_path_factory.mktemp("owner"), profile="production", **FILLED)


def test_the_commands_name_themselves(folder: Path) -> None:
    done = run(folder, "--help")
    assert done.returncode == 0
    for command in ("check", "locked", "provision", "probe", "local"):
        assert command in done.stdout


def test_check_finds_an_open_address_and_an_edited_guard(folder: Path) -> None:
    done = run(folder, "check")
    assert (done.returncode, done.stdout) == (0, "Nothing is wrong.\n"), done.stdout
    config, guard = folder / "wrangler.jsonc", folder / "src" / "guard" / "token.py"
    opened = config.read_text("utf-8").replace('"workers_dev": false', '"workers_dev": true')
    config.write_text(opened, encoding="utf-8")
    guard.write_text(guard.read_text("utf-8") + "\n# mine\n", encoding="utf-8")
    done = run(folder, "check")
    assert done.returncode == 1
    assert "wrong-exposure" in done.stdout and "src/guard/token.py  edited-file" in done.stdout


@pytest.mark.usefixtures("node")
def test_the_guard_decides_in_pyodide(rendered: Render, node_modules: Path, tmp_path: Path) -> None:
    """The kit runs a rendered project: nobody gets in without a token of somebody on the list."""
    mine = project(rendered, tmp_path)
    (mine / "node_modules").symlink_to(node_modules, target_is_directory=True)
    issuer = Issuer()
    runtime = Runtime(Project(mine), tmp_path / "packages")
    try:
        access = Access(issuer)
        env: dict[str, Any] = {"TEAM_DOMAIN": access.team_domain, "POLICY_AUD": access.aud}
        env["ALLOWED_EMAILS"] = ["person@example.com"]
        runtime.start()
        worker = Worker(runtime, env, {access.team_domain: access.url})
        assert worker.fetch("/").status == 403
        assert worker.fetch("/", headers=access.person("other@example.com")).status == 403
        assert worker.fetch("/", headers=access.person("person@example.com")).json() == {
            "ok": True,
            "identity": {"kind": "human", "email": "person@example.com"},
        }
    finally:
        runtime.stop()
        issuer.close()
