"""The ready-made callers of a rendered project call its Worker: they are let in, or told why not.

Each shape is one run of in_project/, in the runtime's own Python.
"""

from pathlib import Path

import pytest

import shapes
from conftest import FOLDER, Render
from shapes import BINDING, HUMAN, MACHINE
from through_the_guard import failed, run, with_packages

CUSTOM = {"profile": "custom", "ci": "none", "framework": "plain"}
EVERYBODY = shapes.make(
    **CUSTOM,
    callers=(HUMAN, MACHINE, BINDING),
    exposure="route",  # the paths of the API begin with another one
    binding_style="both",
    filled=True,
)
PROGRAMS = ("test_curl.py", "test_python_client.py")
PEOPLE, WORKERS = "test_browser.py", "test_caller_workers.py"
ROWS = {
    "everybody on a route": (EVERYBODY, (PEOPLE, *PROGRAMS, WORKERS)),
    "production": (
        shapes.make(profile="production", callers=(HUMAN, MACHINE)),
        (PEOPLE, *PROGRAMS),
    ),
    "programs alone": (
        shapes.make(**CUSTOM, callers=(MACHINE,), exposure="workers_dev"),
        PROGRAMS,
    ),
    "RPC": (shapes.make(profile="internal", binding_style="rpc"), (WORKERS,)),
    "fetch": (
        shapes.make(profile="internal", binding_style="fetch", framework="plain", filled=True),
        (WORKERS,),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_callers(name: str, rendered: Render, node_modules: Path, tmp_path: Path) -> None:
    shape, files = ROWS[name]
    project = with_packages(rendered(**shapes.answers(shape)), tmp_path / FOLDER, node_modules)
    status, output = run(project, *files)
    assert status == 0, output


# The same mistake in both Workers: file, what stands there, what takes its place.
Mistake = tuple[str, str, str]
MISTAKES: dict[str, dict[str, Mistake]] = {
    "a refusal is taken for an answer": {
        "python": ("src/private_api.py", 'if not answer["ok"]:', "if False:"),
        "typescript": ("src/private-api.ts", "if (!answer.ok)", "if (false)"),
    },
    "any status is taken for 200": {
        "python": ("src/private_api.py", "if response.status != 200:", "if False:"),
        "typescript": ("src/private-api.ts", "if (response.status !== 200)", "if (false)"),
    },
    "it takes requests": {
        "python": (
            "src/entry.py",
            "    async def scheduled",
            "    async def fetch(self, request):\n"
            "        return await self.env.PRIVATE_API.fetch(request)\n\n"
            "    async def scheduled",
        ),
        "typescript": (
            "src/index.ts",
            "export default {",
            "export default { fetch: (request: Request, env: Env) =>"
            " env.PRIVATE_API.fetch(request),",
        ),
    },
    "the binding leads elsewhere": {
        "python": ("wrangler.jsonc", '"my-api",', '"my-apis",'),
        "typescript": ("wrangler.jsonc", '"Internal"', '"Default"'),
    },
    "no reference, or an address": {
        "python": ("src/private_api.py", " {answer.get('reference', '')}", ""),
        "typescript": ("wrangler.jsonc", '_dev": false', '_dev": true'),
    },
}


# Tried with the slow tests; the others before a release.
FIRST = ("a refusal is taken for an answer", "the binding leads elsewhere")


@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param(name, marks=pytest.mark.slow if name in FIRST else pytest.mark.release)
        for name in MISTAKES
    ],
)
def test_a_mistake_in_a_caller_is_noticed(
    mistake: str, rendered: Render, node_modules: Path, tmp_path: Path
) -> None:
    """So that the test above means something."""
    project = with_packages(rendered(**shapes.answers(EVERYBODY)), tmp_path / FOLDER, node_modules)
    for language, (file, old, new) in MISTAKES[mistake].items():
        path = project / f"callers/worker-{language}" / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new), encoding="utf-8")
    status, output = run(project, WORKERS)
    assert status == 1, output
    for language in MISTAKES[mistake]:
        assert any(f"worker-{language}" in test for test in failed(output)), output
