"""What the interview accepts, the Worker accepts: no answer leads to a Worker that stays shut.

The guard's settings are pure Python, so they are loaded here without the rest of it.
"""

import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Render
from questions import answered, complaint, shape
from shapes import AUD, CLIENT_IDS

Load = Callable[[dict[str, Any]], Any]
GOOD: dict[str, Any] = {
    "TEAM_DOMAIN": "https://acme.cloudflareaccess.com",
    "POLICY_AUD": AUD,
    "ALLOWED_EMAILS": ["ann@example.com"],
    "ALLOWED_SERVICE_TOKENS": [CLIENT_IDS[0]],
}


@pytest.fixture(scope="module")
def load(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    """`guard.settings.load` of a rendered project, in this Python."""
    folder = tmp_path_factory.mktemp("settings")
    source = rendered(profile="production") / "src" / "guard"
    (folder / "guard_settings").mkdir()
    for name in ("settings.py", "values.py", "refusal.py", "roles.py", "shape.py", "who.py"):
        shutil.copy(source / name, folder / "guard_settings")
    (folder / "guard_settings" / "__init__.py").touch()
    sys.path.insert(0, str(folder))
    yield importlib.import_module("guard_settings.settings").load
    sys.path.remove(str(folder))


VALUES = {
    "team_domain": "team_url",
    "policy_aud": "audiences",
    "allowed_emails": "emails",
    "allowed_service_tokens": "client_ids",
}
ANSWERS = answered({"profile": "production"})


def rendered_value(question: str, answer: str) -> Any:
    """The var that the answer becomes."""
    return getattr(shape({**ANSWERS, question: answer}), VALUES[question])


VARS = {
    "team_domain": "TEAM_DOMAIN",
    "policy_aud": "POLICY_AUD",
    "allowed_emails": "ALLOWED_EMAILS",
    "allowed_service_tokens": "ALLOWED_SERVICE_TOKENS",
}
FORMS = {
    "team_domain": r"( ?)(HTTPS?://)?[a-zA-Z0-9-]{1,8}(\.[a-z]{2,5}|\.cloudflareaccess\.com)?/{0,2}",
    "policy_aud": r" ?([0-9a-fA-F]{64}|[0-9a-fA-F]{63,65}) ?(, ?[0-9a-f]{64})?",
    "allowed_emails": r" ?[\w.+'*%&/=!#-]{0,8}@[\w.-]{1,8}(\.[\w-]{1,4}){0,2} ?(, ?\w@\w\.\w)?",
    "allowed_service_tokens": r" ?([0-9a-fA-F]{32}(\.access)?|\*) ?(, ?[0-9a-f]{32}\.access)?",
}


@pytest.mark.parametrize("examples", [60, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("question", VARS)
def test_accepted_answers_configure_the_worker(load: Load, question: str, examples: int) -> None:
    accepted = 0

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.from_regex(FORMS[question], fullmatch=True))
    def check(answer: str) -> None:
        nonlocal accepted
        if not answer.strip() or complaint(question, answer):
            return
        accepted += 1
        load({**GOOD, VARS[question]: rendered_value(question, answer)})

    check()
    assert accepted >= examples // 15


@pytest.mark.parametrize("question", VARS)
def test_an_empty_answer_leaves_the_worker_shut(load: Load, question: str) -> None:
    """It becomes a placeholder, which the guard knows."""
    try:
        load({**GOOD, VARS[question]: rendered_value(question, "")})
    except Exception as refusal:
        assert type(refusal).__name__ == "NotConfigured"
        assert vars(refusal)["setting"] == VARS[question]
    else:
        pytest.fail("the placeholder was taken")


def test_good_settings_load(load: Load) -> None:
    assert load(GOOD).issuer == GOOD["TEAM_DOMAIN"]
