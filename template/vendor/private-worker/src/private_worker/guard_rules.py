"""What the project's own guard says about settings, without the runtime that it needs to serve.

The files of src/guard import each other relatively, so they are loaded under a package name of
ours: only what is asked for runs, and no `guard` that somebody else imported is replaced.
"""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from .project import RENDER_AGAIN, Problem

ANYONE = "*"  # in a list of who may pass: whoever the Access policy admits


class Settings(Protocol):
    """What the guard checks against; see src/guard/settings.py."""

    issuer: str  # such as "https://acme.cloudflareaccess.com"
    audiences: frozenset[str]  # the AUD tags of the Access applications
    emails: frozenset[str]  # who may pass, or ANYONE among them
    domains: frozenset[str]  # whose addresses may all pass, such as "example.com"
    service_tokens: frozenset[str]  # their Client IDs, or ANYONE among them


class NotConfigured(Exception):
    """The guard does not take `setting` (a var's name); `problem` says why, without its value."""

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting} {problem}")
        self.setting = setting
        self.problem = problem


def settings(root: Path, variables: Mapping[str, object]) -> Settings:
    """The guard's reading of the Worker's vars. Raises NotConfigured for the first bad one.

    Raises Problem when src/guard cannot be loaded; it has no settings without an exposure.
    """
    loaded: Settings = ask(root, "settings", "load", variables)
    return loaded


def is_local(variables: Mapping[str, object]) -> bool:
    """Whether the keys would come from the computer that the Worker runs on."""
    return str(variables.get("TEAM_DOMAIN")).lower().startswith("http://")


def ask(root: Path, module: str, function: str, *arguments: object) -> Any:
    """What a function of src/guard answers. Raises NotConfigured and Problem."""
    name = f"_guard_of_{root}".replace(".", "_")
    if name not in sys.modules:
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [str(root / "src" / "guard")]
    try:
        refused = importlib.import_module(f"{name}.refusal").NotConfigured
        called = getattr(importlib.import_module(f"{name}.{module}"), function)
    except Exception as error:  # whatever the files do when they are imported
        raise Problem(f"src/guard cannot be read: {error}; {RENDER_AGAIN}") from None
    try:
        return called(*arguments)
    except refused as error:
        raise NotConfigured(error.setting, error.problem) from None
