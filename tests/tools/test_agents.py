"""The agents that people may connect, as the commands know them: the answers, and a table."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from conftest import Render
from private_worker import project
from questions import complaint, offered

TABLE: dict[str, dict[str, Any]] = tomllib.loads(
    Path(project.__file__).with_name("agents.toml").read_text(encoding="utf-8")
)
HOSTNAME = {"profile": "production"}
CLAUDE = {"https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"}


def shape_of(rendered: Render, **answers: Any) -> project.Shape:
    return project.read(rendered(**answers)).shape


def test_no_agents_unless_asked_for(rendered: Render) -> None:
    for answers in (HOSTNAME, {"profile": "personal"}, {"profile": "internal"}):
        shape = shape_of(rendered, **answers)
        assert (shape.agents, shape.other_redirect_uris, shape.redirect_uris) == ((), (), ())


def test_the_agents_that_were_chosen(rendered: Render) -> None:
    """Those on the person's own computer need no address: Access lets any port of it in."""
    shape = shape_of(rendered, **HOSTNAME, agents=["local", "claude"])
    assert shape.agents == ("local", "claude")
    assert set(shape.redirect_uris) == CLAUDE


def test_addresses_that_were_typed(rendered: Render) -> None:
    """Each once, whether the table has it too or not."""
    typed = " https://agent.example.com/cb ,https://claude.ai/api/mcp/auth_callback"
    given = {**HOSTNAME, "agents": ["claude", "other"], "agent_redirect_uris": typed}
    shape = shape_of(rendered, **given)
    assert shape.other_redirect_uris == (
        "https://agent.example.com/cb",
        "https://claude.ai/api/mcp/auth_callback",
    )
    assert len(shape.redirect_uris) == 3
    assert set(shape.redirect_uris) == {*CLAUDE, "https://agent.example.com/cb"}


def test_addresses_of_others_that_are_not_let_in(rendered: Render) -> None:
    given = {"agents": ["local"], "agent_redirect_uris": "https://agent.example.com/cb"}
    assert shape_of(rendered, **HOSTNAME, **given).redirect_uris == ()


def test_the_table_has_the_agents_of_the_interview() -> None:
    assert {"local", *TABLE, "other"} == set(offered("agents"))


@pytest.mark.parametrize("agent", TABLE)
def test_the_table_says_what_the_interview_would_take(agent: str) -> None:
    """Exact addresses, and where they are from."""
    row = TABLE[agent]
    assert row["redirect_uris"]
    assert complaint("agent_redirect_uris", ",".join(row["redirect_uris"])) == ""
    assert row["source"].startswith("https://") and isinstance(row["seen"], date)
