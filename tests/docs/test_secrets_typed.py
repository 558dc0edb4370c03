"""No document or script has somebody put a secret on a command line.

There `ps` shows it to everybody on the computer while the command runs, and the shell keeps it in
its history. What `read -rs` takes, a pipe or `$(…)` is in neither.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import shapes
from conftest import ROOT, Render, tracked_files
from documents import inline, shell_blocks

SECRET = r"\w*(?:TOKEN|SECRET|PASSWORD|PASSWD|API_KEY|PRIVATE_KEY)"
HEADER = (
    r"(?:CF-Access-Client-Secret|Cf-Access-Token|Cf-Access-Jwt-Assertion|Authorization"
    r"|Private-Token|Job-Token|X-Auth-Key|Cookie: ?CF_Authorization)"
)
CLIENT = r"\b(?:curl|wget|http|https|xh|cloudflared access curl)\s"
# What shows that somebody is refused is no secret.
FORGED = r"(?!(?:Bearer )?forged\b)"

# What it is, and what a line with it looks like.
FORMS = {
    "a header with a secret": rf"(?i){CLIENT}.*{HEADER}\s*[:=]\s*{FORGED}\S",
    "a user with a password": rf"(?i){CLIENT}(?:.*\s)?(?:-u ?|--(?:user|oauth2-bearer)[ =])\S",
    "a password in an address": r"[a-z]://[^/@\s]+:[^/@\s]+@",
    "a value written into a variable": (
        rf"(?:^|[\s;&|(])(?:\w+ )?{SECRET}=(?:'[^']|\"(?!\$)[^\"]|[^\s$'\"])"
    ),
    "a variable as an argument of env or docker": rf"\b(?:env|docker)\s.*\b{SECRET}=\S",
    "a value as an argument of set": (
        r"\b(?:gh secret set|glab variable (?:set|update))\s(?:.*\s)?"
        r"(?:(?:-b|--body|-v|--value)\b|-b|[A-Z_]+ [^-\s<>|])"
    ),
    "a value that echo writes": r"(?:\becho|\bprintf)\s[^|]*\|.*\b(?:secret|login)\b",
    "a here-string": r"(?<!<)<<<(?!<)\s*['\"]?[^$'\"\s]",
    "an option with a secret": (
        r"(?i)\s-{1,2}(?!-|service-token )(?:[\w-]+-)?"
        r"(?:token|secret|password|passwd|api-key|apikey)[ =](?![|&;])\S"
    ),
}


def lines(name: str, text: str) -> Iterator[str]:
    """What a shell gets of a file: the blocks and inline code of a document, all of a script."""
    if name.endswith(".md"):
        parts = [*(block.text for block in shell_blocks(text)), *inline(text)]
    else:
        parts = [text]
    for part in parts:
        for line in part.replace("\\\n", " ").splitlines():
            if not line.lstrip().startswith(("#", "//")):
                yield line


def found(name: str, text: str) -> list[str]:
    return [
        f"{name}: {what}: {line.strip()}"
        for line in lines(name, text)
        for what, form in FORMS.items()
        if re.search(form, line)
    ]


def looked_at(path: Path) -> bool:
    return path.suffix in (".md", ".sh", ".yml", ".yaml") and "vendor" not in path.parts


def complaints(root: Path, names: list[str]) -> list[str]:
    texts = [(name, (root / name).read_text(encoding="utf-8")) for name in names]
    assert texts
    return [line for text in texts for line in found(*text)]


def test_the_templates_own() -> None:
    names = [name for name in tracked_files() if looked_at(Path(name))]
    names += [name for name in tracked_files() if name.startswith((".ci/", "hooks/"))]
    names = [name for name in names if (ROOT / name).is_file()]
    assert complaints(ROOT, [name for name in names if not name.startswith("tests/")]) == []


@pytest.mark.slow
@pytest.mark.parametrize("ops", [True, False])
@pytest.mark.parametrize("name", shapes.of_interest())
def test_those_of_a_project(name: str, ops: bool, rendered: Render) -> None:
    project = rendered(**shapes.answers(shapes.of_interest()[name] | {"ops": ops}))
    names = [str(path.relative_to(project)) for path in project.rglob("*") if looked_at(path)]
    assert complaints(project, names) == []


@pytest.mark.parametrize(
    "line",
    [
        'curl -H "CF-Access-Client-Secret: $CF_ACCESS_CLIENT_SECRET" "$URL/"',
        'curl -i "$URL/" --header "Authorization: Bearer $TOKEN"',
        'curl "$URL/" \\\n  -H "CF-Access-Client-Secret: $CF_ACCESS_CLIENT_SECRET"',
        'curl --header="PRIVATE-TOKEN: <token>" https://gitlab.example.com/api/v4/projects',
        'cloudflared access curl "$URL/" -H "Cf-Access-Token: $TOKEN"',
        "curl -u ann:password https://example.com",
        "git clone https://ann:password@git.example.com/x.git",
        "export CLOUDFLARE_API_TOKEN=<token>",
        "export CLOUDFLARE_API_TOKEN='<token>'",
        'CF_ACCESS_CLIENT_SECRET="abc" sh callers/curl.sh /',
        "env CLOUDFLARE_API_TOKEN=$CLOUDFLARE_API_TOKEN npm run probe",
        'docker run -e CLOUDFLARE_API_TOKEN="$CLOUDFLARE_API_TOKEN" image',
        "gh secret set CF_ACCESS_CLIENT_SECRET --body <secret>",
        'gh secret set CF_ACCESS_CLIENT_SECRET -b"$SECRET"',
        "glab variable set CLOUDFLARE_API_TOKEN abc",
        "glab variable set CLOUDFLARE_API_TOKEN --value abc",
        "echo abc | npx wrangler secret put WEATHER_KEY",
        "printf abc | docker login --password-stdin",
        "npx wrangler secret put WEATHER_KEY <<< abc",
        "cloudflared tunnel run --token <token>",
        "npm run probe -- --client-secret=abc",
    ],
)
def test_a_secret_is_found(line: str) -> None:
    assert found("a.md", f"# A\n\n```sh\n{line}\n```\n")
    assert found("a.sh", f"{line}\n")


def test_a_secret_in_a_sentence_is_found() -> None:
    assert found("a.md", "Type `export CLOUDFLARE_API_TOKEN=abc`.\n")


@pytest.mark.parametrize(
    "line",
    [
        "read -rs CLOUDFLARE_API_TOKEN && export CLOUDFLARE_API_TOKEN",
        'TOKEN=$(cloudflared access token --app="$URL")',
        'printf \'header = "Cf-Access-Token: %s"\\n\' "$TOKEN" | curl --config - "$URL/"',
        "curl -i -H 'CF-Access-Client-Id: forged.access' -H 'CF-Access-Client-Secret: forged'",
        "npx wrangler secret put WEATHER_KEY",
        "gh secret set CF_ACCESS_CLIENT_SECRET --repo <repository>",
        "npm run provision -- --rotate '<name>' --grace 7d --secret-to '<command>'",
        "npm run provision -- --service-token nightly-report --apply",
        "unset CF_ACCESS_CLIENT_ID CF_ACCESS_CLIENT_SECRET",
        "export CF_ACCESS_CLIENT_ID='<Client ID>'",
    ],
)
def test_what_is_right_is_let_alone(line: str) -> None:
    assert found("a.md", f"# A\n\n```sh\n{line}\n```\n") == []
