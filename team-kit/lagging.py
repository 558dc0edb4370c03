# /// script
# requires-python = ">=3.11"
# dependencies = ["packaging>=25", "pyyaml>=6"]
# ///
"""Which projects lag behind their template, and which could not be updated as they are.

    uv run lagging.py ~/work
    uv run lagging.py --json --file projects.txt

A folder is a project with a .copier-answers.yml, or holds such projects directly. Each template's
repository is asked for its tags; nothing is cloned, and nothing of a template or a project is run.
Asked are hosts by https, http, ssh and git, private networks included, and absolute paths, which
contact nobody. This computer's own servers, link-local and multicast addresses and the metadata
services of clouds are not, and no redirect is followed: the address is somebody else's choice.
Exit code: 0 all is well, 1 there is something to do, 2 something could not be found out.
"""

import argparse
import hashlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import NoReturn

import yaml
from packaging.version import InvalidVersion, Version

ANSWERS = ".copier-answers.yml"
TIMEOUT = 60  # seconds for one repository
LARGEST = 1_000_000  # bytes; an answers file has a few thousand
HOSTS = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}
PORTS = {"https": 443, "http": 80}
# What follows a scheme. Other letters and % could become a name that was not looked at.
PLACE = re.compile(
    r"(?P<host>[A-Za-z0-9._-]*[A-Za-z0-9]|\[[0-9A-Fa-f:.]+\])(:(?P<port>\d{1,5}))?(/|$)"
)
SCP = re.compile(r"([\w.-]+@)?(?P<host>[\w.-]+\w):[^:@\s]+", re.ASCII)
# Cloud providers' metadata services hand out credentials. The others of them are link-local.
METADATA = {"metadata", "metadata.google.internal", "instance-data"}
NOT_ASKED = [
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"),
        *("::/127", "fe80::/10", "ff00::/8"),
        *("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"),
    )
]
# IPv6 networks whose last 32 bits are an IPv4 address: mapped, compatible, and NAT64's.
WITH_IPV4 = [ip_network(text) for text in ("::ffff:0:0/96", "::/96", "64:ff9b::/96")]
COPIED_FROM_A_COMMIT = re.compile(r"(.+)-\d+-g[0-9a-f]+")


class Unknown(Exception):
    """What could not be found out, in one line."""


@dataclass
class Row:
    """One project. `behind` counts the versions after its own."""

    project: str
    template: str | None = None
    at: str | None = None
    newest: str | None = None
    behind: int | None = None
    notes: list[str] = field(default_factory=list)
    problem: str | None = None


def plain(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def without_credentials(text: str) -> str:
    """Addresses keep only a bare user name before the host, as in ssh://git@host/."""
    return re.sub(r"(?<=://)(?!git@[^@\s]*(?:\s|$))\S*@", "", text)


# ---------------------------------------------------------------- asking git


def git(*arguments: str, folder: Path, protocols: str = "none") -> str:
    """Run git without a terminal to ask at, and give up after a while.

    What a project brings must not make git run a command: no folder is taken for a repository
    because it looks like one, and with no `protocols` nothing that is missing is fetched.
    """
    environment = {
        **os.environ,
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    process = subprocess.Popen(
        ["git", "-c", "core.fsmonitor=false", "-c", "safe.bareRepository=explicit", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # so that ssh finds no terminal, and helpers end with git
    )
    try:
        output, error = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        stop(process)
        raise Unknown(f"git got no answer in {TIMEOUT} seconds") from None
    except KeyboardInterrupt:
        stop(process)
        raise
    if process.returncode:
        lines = [line for line in error.splitlines() if line.strip()]
        fatal = [line for line in lines if line.startswith("fatal:")] or lines or ["git failed"]
        raise Unknown(plain(without_credentials(fatal[0])))
    return output


def stop(process: "subprocess.Popen[str]") -> None:
    if os.name == "nt":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def version(tag: str) -> Version | None:
    try:
        return Version(tag)
    except InvalidVersion:
        return None


@cache
def tags(repository: str) -> list[str] | Unknown:
    """Asked for once, whether it answers or not."""
    try:
        try:
            listed = references(repository)
        except Unknown as problem:  # GitLab redirects to the address with .git
            if not re.search(r" error: 30\d$", str(problem)) or repository.endswith(".git"):
                raise
            listed = references(f"{repository}.git")
    except Unknown as problem:
        return problem
    return [line.partition("\trefs/tags/")[2] for line in listed.splitlines()]


def references(repository: str) -> str:
    """What git says of the repository's tags."""
    settings = ["http.followRedirects=false", *pinned(repository)]
    options = [word for setting in settings for word in ("-c", setting)]
    # From the root, where no project's own configuration tells git what to do.
    root = Path(Path.cwd().anchor)
    asked = ("ls-remote", "--tags", "--refs", "--", repository)
    # Without ext::, which runs a command.
    return git(*options, *asked, folder=root, protocols="file:git:http:https:ssh")


def pinned(repository: str) -> list[str]:
    """Settings that hold git to the addresses that were looked at here, with http and https.

    They need git 2.37. With ssh and git the name is looked up again, and may lead elsewhere by
    then. A name that is unknown here is left to git: a proxy or ssh's own configuration may know
    it. Raises Unknown for a host that is not asked.
    """
    scheme, separator, place = repository.partition("://")
    scp = None if separator else SCP.fullmatch(repository)
    if not separator and not scp or scheme == "file":
        return []
    found = scp or PLACE.match(place.rpartition("@")[2])
    if not found:
        raise Unknown("the template's address has no host that can be looked up")
    host = found["host"].strip("[]").lower()
    addresses = addresses_of(host)
    own = host in METADATA or host.split(".")[-1] == "localhost"
    if own or any(not_asked(address) for address in addresses):
        raise Unknown(
            f"{host} is this computer or an address of the network itself, which is not asked"
        )
    if scheme not in ("https", "http") or not addresses:
        return []
    port = found["port"] or PORTS[scheme]
    return [f"http.curloptResolve={host}:{port}:{','.join(sorted(map(str, addresses)))}"]


def addresses_of(host: str) -> set[IPv4Address | IPv6Address]:
    """Every address of a host. Also of 127.1, 0x7f000001 and 2130706433, which all mean one."""
    found = set()
    try:
        found.add(ip_address(socket.inet_aton(host)))
    except OSError:
        pass
    try:
        for _, _, _, _, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
            found.add(ip_address(str(address[0]).partition("%")[0]))
    except (OSError, ValueError):
        pass
    return found


def not_asked(address: IPv4Address | IPv6Address) -> bool:
    if any(address in network for network in NOT_ASKED):
        return True
    if any(address in network for network in WITH_IPV4):
        return not_asked(IPv4Address(int(address) & 0xFFFFFFFF))
    return False


def versions(repository: str) -> dict[str, Version]:
    """Its released versions by tag, in Copier's order: PEP 440, no pre-releases."""
    names = tags(repository)
    if isinstance(names, Unknown):
        raise names
    found = {tag: number for tag in names if (number := version(tag)) and not number.is_prerelease}
    if not found:
        raise Unknown("the template has no version")
    return dict(sorted(found.items(), key=lambda item: item[1]))


# ---------------------------------------------------------------- reading a project


def repository_of(source: str) -> tuple[str, bool]:
    """What to ask git for, and whether credentials were left out."""
    address = source.removeprefix("git+")
    for short, host in HOSTS.items():
        if address.startswith(short):
            address = host + address.removeprefix(short).lstrip("/")
    scheme, separator, rest = address.partition("://")
    if separator:
        if scheme not in ("https", "http", "ssh", "git", "file") or not re.fullmatch(r"\S+", rest):
            raise Unknown("the template's address is of a kind that is not looked at")
        if scheme == "file" and not re.match(r"/(?!/)", rest):
            raise Unknown("the template's address is a path of the network, which is not looked at")
        user, at, place = rest.rpartition("@")
        place = re.split(r"[?#]", place)[0]
        bare_user = scheme == "ssh" and re.fullmatch(r"[\w.-]+", user)
        address = f"{scheme}://{user}@{place}" if bare_user else f"{scheme}://{place}"
        if address.startswith(tuple(HOSTS.values())):
            address = address.removesuffix(".git") + ".git"
        return address, bool(at and not bare_user)
    path = os.path.expanduser(address)
    if re.match(r"[\\/]{2}", path):  # Windows asks the host that such a path names
        raise Unknown("the template's address is a path of the network, which is not looked at")
    if not os.path.isabs(path) and not SCP.fullmatch(address):
        raise Unknown("the template's address is a relative path, or no address")
    return path, False


class WithoutAliases(yaml.SafeLoader):
    """Copier writes no aliases, and a few of them can stand for more than fits into memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


def answers(project: Path) -> dict[str, object]:
    file = project / ANSWERS
    try:
        if file.stat().st_size > LARGEST:
            raise Unknown(f"{ANSWERS} is too large to be an answers file")
        found = yaml.load(file.read_text(encoding="utf-8"), WithoutAliases)
    except OSError as error:
        raise Unknown(f"{ANSWERS}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise Unknown(f"{ANSWERS} is not YAML") from None
    if not isinstance(found, dict) or not isinstance(found.get("_src_path"), str):
        raise Unknown(f"{ANSWERS} names no template")
    return found


def uncommitted(project: Path) -> str | None:
    try:
        git("rev-parse", "--git-dir", folder=project)
    except Unknown:
        return "not in a git repository, which an update needs"
    try:
        committed = git("rev-parse", f"HEAD:./{ANSWERS}", folder=project).strip()
    except Unknown:
        committed = ""
    # Compared here: `git status` would run the filters that a project's configuration names.
    content = (project / ANSWERS).read_bytes()
    here = {blob(content, committed), blob(content.replace(b"\r\n", b"\n"), committed)}
    return None if committed in here else f"{ANSWERS} is not committed, which an update needs"


def blob(content: bytes, like: str) -> str:
    """The name that git gives to a file's content, in the form of another."""
    kind = "sha256" if len(like) == 64 else "sha1"
    return hashlib.new(kind, b"blob %d\0" % len(content) + content).hexdigest()


def look_at(project: Path) -> Row:
    row = Row(plain(str(project)))
    try:
        found = answers(project)
        repository, secret = repository_of(str(found["_src_path"]))
        row.template = plain(repository)
        if secret:
            row.notes.append(f"{ANSWERS} holds credentials in _src_path: take them out")
        if note := uncommitted(project):
            row.notes.append(note)
        commit = found.get("_commit")
        row.at = plain(commit) if isinstance(commit, str) else None
        compare(row, versions(repository))
    except Unknown as problem:
        row.problem = str(problem)
    except (OSError, ValueError) as error:
        row.problem = str(getattr(error, "strerror", None) or "cannot be looked at")
    return row


def compare(row: Row, known: dict[str, Version]) -> None:
    """How far behind, and why an update would not start."""
    row.newest = list(known)[-1]
    after = COPIED_FROM_A_COMMIT.fullmatch(row.at or "")
    base = after[1] if after else row.at or ""
    mine = version(base)
    if mine is None:
        row.notes.append("copied from no version, so that an update cannot compare")
        return
    row.behind = sum(number > mine for number in known.values())
    if after and not row.behind:
        row.notes.append(f"copied from a commit after {base}: an update waits for the next version")
    elif after:
        row.notes.append(f"copied from a commit after {base}, not from a version")
    elif base not in known and not mine.is_prerelease:
        row.notes.append(f"{base} is no version of the template any more")


# ---------------------------------------------------------------- the command


def rows_of(folder: Path) -> list[Row]:
    """The folder itself, or the projects directly in it."""
    try:
        projects = [folder] if (folder / ANSWERS).is_file() else []
        if not projects:
            files = sorted(folder.glob(f"*/{ANSWERS}"))
            projects = [file.parent for file in files if file.is_file()]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no folder"
        return [Row(plain(str(folder)), problem=str(reason))]
    if not projects:
        return [Row(plain(str(folder)), problem=f"no {ANSWERS} here or one level below")]
    return [look_at(project) for project in projects]


def listed(file: Path) -> list[Path]:
    """One folder a line, seen from the file's own folder."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise Unknown(f"{plain(str(file))}: {reason}") from None
    wanted = [line.strip() for line in lines]
    return [
        file.parent / os.path.expanduser(line)
        for line in wanted
        if line and not line.startswith("#")
    ]


def table(rows: Sequence[Row]) -> str:
    cells = [["PROJECT", "TEMPLATE", "AT", "NEWEST", "BEHIND", "NOTES"]]
    for row in rows:
        behind = "?" if row.behind is None else str(row.behind)
        notes = "; ".join([*([row.problem] if row.problem else []), *row.notes])
        line = [row.project, row.template or "?", row.at or "?", row.newest or "?", behind, notes]
        cells.append(line)
    widths = [max(len(line[column]) for line in cells) for column in range(5)] + [0]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Unknown(f"{plain(message)} (see --help)")


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="lagging.py",
        allow_abbrev=False,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--file", type=Path, help="a file with one folder a line, # for comments")
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    return parser.parse_args(given)


def run(given: Sequence[str]) -> int:
    options = arguments(given)
    folders = [*options.folders, *(listed(options.file) if options.file else [])]
    if not folders:
        raise Unknown("no folder is given (see --help)")
    if not shutil.which("git"):
        raise Unknown("git is not installed")
    rows = [row for folder in folders for row in rows_of(folder)]
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else table(rows))
    sys.stdout.flush()
    if any(row.problem for row in rows):
        return 2
    return 1 if any(row.behind or row.notes for row in rows) else 0


def main() -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        return run(sys.argv[1:])
    except Unknown as problem:
        print(f"lagging.py: {problem}", file=sys.stderr)
    except BrokenPipeError:  # whoever read has enough; Python would flush once more and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("lagging.py: stopped", file=sys.stderr)
        return 130
    return 2


if __name__ == "__main__":
    sys.exit(main())
