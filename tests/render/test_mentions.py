"""A project mentions nothing that belongs to another shape.

One table of words for each part of a shape. Where the part is absent, so are its words, in every
text file. The exemptions say why.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import shapes
from conftest import Render
from files import texts
from shapes import BINDING, HUMAN, MACHINE, Shape

# The guard's own code knows people and programs in every shape with an address, because it has to
# refuse the kind that is not wanted. Its tests show that.
GUARD = ("src/guard/", "tests/test_doors.py")
# The same in all projects, so that their owner can compare.
EVERYWHERE = ("vendor/", "tests/test_doors.py", "tests/conftest.py", ".private-worker.toml")


@dataclass(frozen=True)
class Part:
    """Words that only a shape for which `present` holds may use."""

    name: str
    present: Callable[[Shape], bool]
    words: str
    exempt: tuple[str, ...] = field(default=())


def edge(shape: Shape) -> bool:
    return bool(shape["exposure"] != "none")


PARTS = (
    Part(
        "public address",
        edge,
        r"TEAM_DOMAIN|POLICY_AUD|cloudflareaccess|Jwt-Assertion|\bAUD\b",
    ),
    Part("public address (guard)", edge, r"\bHuman\b|\bMachine\b|guard/gate|access\.dev"),
    Part(
        "people",
        lambda shape: HUMAN in shape["callers"],
        r"ALLOWED_EMAILS|(?i:e-?mail address|one-time PIN|cloudflared access)",
        GUARD,
    ),
    Part(
        "programs",
        lambda shape: MACHINE in shape["callers"],
        r"ALLOWED_SERVICE_TOKENS|CF-Access-Client|(?i:service token|client secret)",
        GUARD,
    ),
    Part(
        "other Workers",
        lambda shape: BINDING in shape["callers"],
        r"ALLOWED_WORKERS|BoundWorker|\bInternal\b|internal\.py|\bprops\b|(?i:service binding)",
    ),
    Part(
        "RPC",
        lambda shape: shape["binding_style"] in ("rpc", "both"),
        r"(?<!JSON-)\bRPC\b|METHODS|internal\.py",
    ),
    Part("upstreams", lambda shape: shape["upstreams"] > 0, r"(?i:upstream|vpc)"),
    Part(
        "FastAPI",
        lambda shape: shape["framework"] == "fastapi",
        r"(?i:fastapi(?! = false)|starlette|asgi)",
    ),
    Part(
        "previews",
        lambda shape: bool(shape["preview_urls"]),
        r"wrangler preview|\"previews\"|pywrangler preview",
    ),
    Part(
        "custom domain",
        lambda shape: shape["exposure"] == "custom_domain",
        r"\"custom_domain\"|(?i:custom domain)",
    ),
    Part("route", lambda shape: shape["exposure"] == "route", r"zone_name|(?i:route pattern)"),
    Part(
        "programs (callers)",
        lambda shape: MACHINE in shape["callers"],
        r"callers/(python|curl|git)|private_worker_client",
    ),
    # Whoever calls has a CI of their own: the two jobs in callers/ are for either.
    Part(
        "GitHub",
        lambda shape: shape["ci"] == "github",
        r"GitHub Actions|\.github/",
        ("callers/github-actions.yml",),
    ),
    Part(
        "GitLab",
        lambda shape: shape["ci"] == "gitlab",
        r"(?i:\.gitlab|gitlab(?!-ci\.yml))",
        ("callers/gitlab-ci.yml",),
    ),
    Part("Renovate", lambda shape: shape["ci"] != "none", r"(?i:renovate)"),
    Part(
        "commands",
        lambda shape: bool(shape["ops"]),
        r"private-worker\[commands\]|npm run (check|probe)",
    ),
    Part(
        "setting up Access",
        lambda shape: bool(shape["ops"]) and edge(shape),
        r"npm run provision|private-worker provision|`provision`|npm run local",
    ),
    Part("staging", lambda shape: bool(shape["staging"]), r"(?i:staging)"),
    Part(
        "limit of each caller",
        lambda shape: bool(shape["limited"]),
        r"RATE_LIMIT|rate_limited|guard/limit|requests_per_minute=",
    ),
    Part("agents", lambda shape: bool(shape["agents"]), r"(?i:mcp)|tools\.py|redirect URI"),
    Part(
        "one-time PIN",
        lambda shape: shape["identity_provider"] == "otp",
        r"(?i:one-time pin|onetimepin)",
    ),
)


# Lines of docs/WRITING.md: which names an answer could take, and how to change it.
OF_OTHER_ANSWERS = ("- **Names**:", "- **FastAPI** instead:")

Texts = list[tuple[Shape, dict[str, str]]]


@pytest.fixture(
    scope="module", params=["a few shapes", pytest.param("all pairs", marks=pytest.mark.slow)]
)
def chosen(request: pytest.FixtureRequest) -> list[Shape]:
    """Distinct shapes; among the slow tests those that cover every pair of answers."""
    few = list(shapes.of_interest().values())
    return few if request.param == "a few shapes" else shapes.selection()


@pytest.fixture(scope="module")
def projects(chosen: list[Shape], rendered: Render) -> Texts:
    """Each shape with its files, those apart that every shape has."""
    return [
        (
            shape,
            {
                name: text
                for name, text in texts(rendered(**shapes.answers(shape))).items()
                if name != ".copier-answers.yml" and not name.startswith(EVERYWHERE)
            },
        )
        for shape in chosen
    ]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_nothing_of_another_shape(part: Part, projects: Texts) -> None:
    words = re.compile(part.words)
    for shape, files in projects:
        if part.present(shape):
            continue
        for name, text in files.items():
            if name.startswith(part.exempt):
                continue
            lines = [line for line in text.splitlines() if words.search(line)]
            lines = [line for line in lines if not line.startswith(OF_OTHER_ANSWERS)]
            assert not lines, f"{shapes.name_of(shape)}: {name}: {lines[0]}"
            assert not words.search(name), name


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_words_are_in_use(part: Part, projects: Texts) -> None:
    """So that the table cannot go stale: where the part is present, its words are."""
    files = next(files for shape, files in projects if part.present(shape))
    assert re.search(part.words, "\n".join(files.values()))


def test_files_of_a_shape(chosen: list[Shape], rendered: Render) -> None:
    """Which files exist decides which doors exist."""
    for shape in chosen:
        folder: Path = rendered(**shapes.answers(shape))
        public, binding = edge(shape), BINDING in shape["callers"]
        rpc = shape["binding_style"] in ("rpc", "both")
        serves = public or shape["binding_style"] in ("fetch", "both")
        expected = {
            "src/api.py": serves,
            "src/internal.py": rpc,
            "src/upstream.py": shape["upstreams"] > 0,
            "src/bridge.py": shape["framework"] == "fastapi",
            "src/mcp_server.py": bool(shape["agents"]),
            "src/tools.py": bool(shape["agents"]),
            "tests/test_tools.py": bool(shape["agents"]),
            "src/guard/bound.py": binding,
            "src/guard/edge.py": public,
            "src/guard/limit.py": shape["limited"],
            "src/guard/token.py": public,
            "tests/test_api.py": serves,
            "tests/test_internal.py": rpc,
            "callers/worker-python": binding,
            "callers/worker-typescript": binding,
            "tests/conftest.py": True,
            "tests/test_doors.py": True,
            "vendor/private-worker/pyproject.toml": True,
            "callers/python/pyproject.toml": MACHINE in shape["callers"],
            "callers/curl.sh": MACHINE in shape["callers"],
            "callers/github-actions.yml": MACHINE in shape["callers"],
            "callers/gitlab-ci.yml": MACHINE in shape["callers"],
            ".dev.vars.example": public,
            "renovate.json5": shape["ci"] != "none",
        }
        there = {name: (folder / name).exists() for name in expected}
        assert there == expected, shapes.name_of(shape)
        entry = (folder / "src" / "entry.py").read_text(encoding="utf-8")
        assert "class Default(" in entry
        assert ("class Internal(" in entry) == binding
