"""The page of example configurations: what Copier writes for a command."""

from pathlib import Path

from reference_markdown import block
from reference_render import command, run

# Made up, and nobody's.
AUD = "0123456789abcdef" * 4
TOKEN = f"{'0123456789abcdef' * 2}.access"
SERVICE = "00000000-0000-4000-8000-000000000000"
TEAM = {"team_domain": "my-team", "policy_aud": AUD}
CONFIG = "wrangler.jsonc"
CALLER = f"callers/worker-python/{CONFIG}"

INTRO = """# Example configurations

Each command makes a project. Below it stands the `wrangler.jsonc` that it writes. Team name, AUD
tag, addresses and ids are made up: take your own, or leave their answers out and fill them in
later. What is left out becomes a placeholder, and until that is replaced the Worker refuses
everybody.
[Questions](questions.md) has every answer.
"""

Example = tuple[str, str, dict[str, str], tuple[str, ...]]

# Title, when to take it, the answers, the files to show.
EXAMPLES: list[Example] = [
    (
        "A personal Worker on workers.dev",
        "Only you call it, from a browser or a terminal. It needs no domain.",
        {"profile": "personal", **TEAM, "allowed_emails": "ann@example.com"},
        (CONFIG,),
    ),
    (
        "A custom domain, for people and programs",
        "People log in with their e-mail addresses, programs bring a service token.",
        {
            "profile": "production",
            "hostname": "api.example.com",
            **TEAM,
            "allowed_emails": "ann@example.com, bob@example.com",
            "allowed_service_tokens": TOKEN,
        },
        (CONFIG,),
    ),
    (
        "Internal, for other Workers only",
        "There is no public address. A Worker named `gateway` calls it through a service binding.",
        {"profile": "internal", "calling_workers": "gateway"},
        (CONFIG, CALLER),
    ),
    (
        "A private service behind the Worker",
        "The Worker reaches an HTTP service in your network through Workers VPC and a Tunnel.",
        {
            "profile": "production",
            "hostname": "api.example.com",
            **TEAM,
            "allowed_emails": "ann@example.com",
            "allowed_service_tokens": TOKEN,
            "upstreams": f"billing={SERVICE}",
        },
        (CONFIG,),
    ),
    (
        "A route, for programs only",
        "The hostname serves something else already, and the Worker takes one path of it.",
        {
            "profile": "custom",
            "callers": "[machine]",
            "exposure": "route",
            "zone_name": "example.com",
            "route_pattern": "www.example.com/api/*",
            **TEAM,
            "allowed_service_tokens": TOKEN,
        },
        (CONFIG,),
    ),
    (
        "Production and staging",
        "Staging is a second Worker with a hostname and an Access application of its own.",
        {
            "profile": "production",
            "hostname": "api.example.com",
            **TEAM,
            "allowed_emails": "ann@example.com",
            "allowed_service_tokens": TOKEN,
            "staging": "true",
            "staging_hostname": "staging.example.com",
            "staging_policy_aud": AUD[::-1],
        },
        (CONFIG,),
    ),
]


def page() -> str:
    return INTRO + "".join(map(section, EXAMPLES))


def section(example: Example) -> str:
    title, when, answers, files = example
    typed = command(answers)
    project = run(typed)
    shown = "".join(file(project, name) for name in files)
    return f"\n## {title}\n\n{when}\n\n{block('sh', typed)}{shown}"


def file(project: Path, name: str) -> str:
    return f"\n`{name}`:\n\n{block('jsonc', (project / name).read_text(encoding='utf-8'))}"
