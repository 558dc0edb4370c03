"""team-kit/lagging.py says which projects lag behind, and gives nothing away."""

import ast
import json
import os
import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import hub
import lagging
from conftest import ROOT, git

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "team-kit" / "lagging.py"
TOKEN = "s3cret-t0ken"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, default_gitconfig: object) -> Path:
    """Templates with versions, the tags in no useful order."""
    folder = tmp_path_factory.mktemp("host")
    tags = ("v1.10.0", "v1.0.0", "v1.2.0", "nightly", "v2.0.0rc1", "v1.2.0.post1")
    hub.publish(folder / "org" / "private-worker.git", *tags, files=hub.SMALL)
    hub.publish(folder / "org" / "untagged.git", "nightly")
    return folder


def project(folder: Path, source: object, commit: str | None = "v1.10.0") -> Path:
    """A committed project with nothing but its answers file."""
    folder.mkdir(parents=True)
    lines = [f"_src_path: {json.dumps(source)}"]
    lines += [f"_commit: {json.dumps(commit)}"] if commit else []
    (folder / lagging.ANSWERS).write_text("\n".join(lines) + "\n")
    hub.commit(folder)
    return folder


def run(
    host: Path, *arguments: str | Path, **more: str
) -> tuple[int, str, "subprocess.CompletedProcess[str]"]:
    """The exit code and everything it says; never a traceback, and errors in one line."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    env = hub.environment(host, **more)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert "Traceback" not in said and TOKEN not in said
    assert len(done.stderr.splitlines()) <= 1
    return done.returncode, said, done


def rows(host: Path, *arguments: str | Path, code: int) -> list[dict[str, Any]]:
    found, said, done = run(host, "--json", *arguments)
    assert found == code, said
    parsed: list[dict[str, Any]] = json.loads(done.stdout)
    return parsed


@pytest.mark.parametrize(
    "source",
    [
        "gh:org/private-worker",
        "gh:/org/private-worker.git",
        "https://github.com/org/private-worker",
        "https://github.com/org/private-worker.git",
        "git+https://github.com/org/private-worker.git",
        "ssh://git@github.com/org/private-worker.git",
        "git@github.com:org/private-worker.git",
        "local path",
    ],
)
def test_every_form_of_an_address(source: str, host: Path, tmp_path: Path) -> None:
    there = str(host / "org" / "private-worker.git") if source == "local path" else source
    (row,) = rows(host, project(tmp_path / "my api", there, "v1.2.0"), code=1)
    assert row["newest"] == "v1.10.0" and row["behind"] == 2
    assert not row["notes"] and not row["problem"]


def test_table(host: Path, tmp_path: Path) -> None:
    """What people see: a line for each project below the folder, the newest version, how far."""
    project(tmp_path / "current", "gh:org/private-worker")
    project(tmp_path / "old", "gh:org/private-worker", "v1.0.0")
    (tmp_path / "no project").mkdir()
    code, said, _ = run(host, tmp_path)
    assert code == 1
    lines = [re.split(r"\s{2,}", line) for line in said.splitlines()]
    address = "https://github.com/org/private-worker.git"
    assert lines == [
        ["PROJECT", "TEMPLATE", "AT", "NEWEST", "BEHIND", "NOTES"],
        [str(tmp_path / "current"), address, "v1.10.0", "v1.10.0", "0"],
        [str(tmp_path / "old"), address, "v1.0.0", "v1.10.0", "3"],
    ]


def test_nothing_to_do(host: Path, tmp_path: Path) -> None:
    code, _, _ = run(host, project(tmp_path / "a", "gh:org/private-worker"))
    assert code == 0


def test_the_newest_is_copiers(host: Path, tmp_path: Path) -> None:
    """The same order as Copier's: no pre-release, nothing that is no version, PEP 440."""
    env = hub.environment(host)
    copied = tmp_path / "copied"
    hub.copier("copy", "--quiet", "--defaults", "gh:org/private-worker", copied, env=env)
    hub.commit(copied)
    (row,) = rows(host, copied, code=0)
    assert row["at"] == row["newest"] == hub.answer(copied, "_commit")


def test_answers_that_an_update_would_stumble_over(host: Path, tmp_path: Path) -> None:
    """Uncommitted, ignored, outside git, copied from a commit, from none, from a lost version."""
    source = "gh:org/private-worker"
    changed = project(tmp_path / "changed", source)
    with (changed / lagging.ANSWERS).open("a") as file:
        file.write("team_domain: us\n")
    ignored = project(tmp_path / "ignored", source)
    git(ignored, "rm", "--cached", lagging.ANSWERS)
    (ignored / ".gitignore").write_text(lagging.ANSWERS)
    hub.commit(ignored)
    bare = tmp_path / "no git"
    bare.mkdir()
    (bare / lagging.ANSWERS).write_text(f"_src_path: {source}\n_commit: v1.10.0\n")
    project(tmp_path / "head", source, "v1.10.0-1-gabc1234")
    project(tmp_path / "old head", source, "v1.2.0-1-gabc1234")
    project(tmp_path / "hash", source, "0123abc")
    project(tmp_path / "nothing", source, None)
    project(tmp_path / "lost", source, "v1.3.0")
    found = {Path(row["project"]).name: row for row in rows(host, tmp_path, code=1)}
    notes = {name: " ".join(row["notes"]) for name, row in found.items()}
    assert "not committed" in notes["changed"] and "not committed" in notes["ignored"]
    assert "not in a git repository" in notes["no git"]
    assert "waits for the next version" in notes["head"] and found["head"]["behind"] == 0
    assert "not from a version" in notes["old head"] and found["old head"]["behind"] == 2
    assert "from no version" in notes["hash"] and found["hash"]["behind"] is None
    assert "from no version" in notes["nothing"]
    assert "no version of the template any more" in notes["lost"] and found["lost"]["behind"] == 1


def test_copied_from_a_commit_is_refused_by_copier(host: Path, tmp_path: Path) -> None:
    """What the note about waiting means."""
    template = host / "org" / "moving.git"
    hub.publish(template, "v1.0.0", files=hub.SMALL)
    hub.write(template, {"template/news.txt.jinja": "more for {{ team_domain }}\n"})
    git(template, "commit", "--all", "--message", "no release")
    env = hub.environment(host)
    copied = tmp_path / "copied"
    options = ("--quiet", "--defaults", "--vcs-ref", "HEAD")
    hub.copier("copy", *options, "gh:org/moving", copied, env=env)
    hub.commit(copied)
    (row,) = rows(host, copied, code=1)
    assert re.fullmatch(r"v1\.0\.0-1-g[0-9a-f]+", row["at"])
    assert "waits for the next version" in row["notes"][0]
    refused = hub.copier("update", "--defaults", copied, env=env, code=1)
    assert "downgrading" in refused.stderr


@pytest.mark.parametrize(
    "source",
    [
        f"https://ann:{TOKEN}@github.com/org/private-worker.git",
        f"https://{TOKEN}@github.com/org/private-worker",
        f"https://ann:x@{TOKEN}@github.com/org/private-worker",
        f"https://ann:x/{TOKEN}@github.com/org/private-worker",
        f"git+https://ann:{TOKEN}@github.com/org/private-worker.git",
        f"ssh://git:{TOKEN}@github.com/org/private-worker.git",
    ],
)
def test_credentials_are_neither_used_nor_shown(source: str, host: Path, tmp_path: Path) -> None:
    """`run` looks for the token in all that is said."""
    folder = project(tmp_path / "a", source)
    (row,) = rows(host, folder, code=2 if source.startswith("ssh") else 1)
    assert "credentials in _src_path" in row["notes"][0]
    assert "@" not in row["template"]
    run(host, folder)


@pytest.mark.parametrize(
    "source",
    [
        f"https://github.com/org/private-worker?token={TOKEN}",
        f"https://github.com/org/private-worker#{TOKEN}",
        f"ftp://ann:{TOKEN}@example.com/x",
        f"ann:{TOKEN}@github.com:org/private-worker.git",
        f"https://ann:{TOKEN} @github.com/org/private-worker",
    ],
)
def test_credentials_in_odd_places(source: str, host: Path, tmp_path: Path) -> None:
    run(host, project(tmp_path / "a", source))
    run(host, "--json", tmp_path / "a")


def test_credentials_of_the_users_own_configuration(host: Path, tmp_path: Path) -> None:
    """git puts the address that it has rewritten into its errors."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    env = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.http://ann:{TOKEN}@{nobody}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
    }
    code, said, _ = run(host, project(tmp_path / "a", "gh:org/private-worker"), **env)
    assert code == 2 and nobody in said


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"fatal: 'https://ann:{TOKEN}@example.com/x' not found", "https://example.com/x' not"),
        (f"fatal: https://git@{TOKEN}@example.com/x", "https://example.com/x"),
        ("fatal: ssh://git@example.com/x", "ssh://git@example.com/x"),
    ],
)
def test_credentials_in_what_git_says(text: str, kept: str) -> None:
    """Not every version of git leaves them out of its errors."""
    said = lagging.without_credentials(text)
    assert TOKEN not in said and kept in said


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "names no template"),
        ("- a list\n", "names no template"),
        ("_src_path: [gh:org/x]\n", "names no template"),
        ("_src_path: {\n", "not YAML"),
        ("_src_path: \xff\n", "not YAML"),
        ("[" * 100_000, "not YAML"),
        ("a: &a [x]\n_src_path: gh:org/x\nb: *a\n", "not YAML"),
        ("# " + "x" * 1_000_001, "too large"),
        ("_src_path: ../template\n", "relative path"),
        ("_src_path: --upload-pack=touch ran\n", "relative path"),
        ('_src_path: "ext::sh -c \\"touch ran\\" x.git"\n', "relative path"),
        ("_src_path: ext::touch%20ran\n", "relative path"),
        ("_src_path: ftp://example.com/x.git\n", "not looked at"),
        ("_src_path: gh:org/nowhere\n", "does not appear to be a git repository"),
        ("_src_path: gh:org/untagged\n", "has no version"),
    ],
)
def test_bad_answers_files(text: str, problem: str, host: Path, tmp_path: Path) -> None:
    """Said in the table, beside the others; and nothing of it is run."""
    folder = tmp_path / "all" / "bad"
    project(tmp_path / "all" / "good", "gh:org/private-worker")
    folder.mkdir()
    (folder / lagging.ANSWERS).write_bytes(text.encode("latin-1"))
    found = {Path(row["project"]).name: row for row in rows(host, tmp_path / "all", code=2)}
    assert problem in found["bad"]["problem"]
    assert found["good"]["behind"] == 0
    assert not list(tmp_path.rglob("ran"))


def test_terminals_are_not_spoken_to(host: Path, tmp_path: Path) -> None:
    project(tmp_path / "a", "gh:org/private-worker", "v1\x1b]0;title\x07")
    for option in ((), ("--json",)):
        _, said, _ = run(host, *option, tmp_path)
        assert "\x1b" not in said and "title" in said


def test_a_projects_git_configuration_runs_nothing(host: Path, tmp_path: Path) -> None:
    """A file monitor and a filter are commands that `git status` would start. Nor is a folder that
    came with a clone taken for a repository, though it has all that one has."""
    folder = project(tmp_path / "a", "gh:org/private-worker")
    git(folder, "config", "core.fsmonitor", f"touch {tmp_path}/ran")
    git(folder, "config", "filter.x.clean", f"touch {tmp_path}/ran; cat")
    (folder / ".gitattributes").write_text("* filter=x\n")
    os.utime(folder / lagging.ANSWERS)  # git would look at the file again
    assert run(host, folder)[0] == 0
    cloned = tmp_path / "b"
    cloned.mkdir()
    for path in (folder / ".git").iterdir():
        path.rename(cloned / path.name)
    git_config = f'[filter "x"]\n\tclean = "touch {tmp_path}/ran; cat"\n'
    (cloned / "config").write_text(f"[core]\n\tworktree = .\n{git_config}")
    for name in (lagging.ANSWERS, ".gitattributes"):
        (folder / name).rename(cloned / name)
    _, said, _ = run(host, cloned)
    assert "not in a git repository" in said
    assert not (tmp_path / "ran").exists()


def test_line_ends_of_a_checkout_are_no_change(host: Path, tmp_path: Path) -> None:
    folder = project(tmp_path / "a", "gh:org/private-worker")
    file = folder / lagging.ANSWERS
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert run(host, folder)[0] == 0


def test_a_host_that_does_not_answer(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given up after a while, with all that git has started, and asked once for all projects."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        port = server.getsockname()[1]
        monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.http://127.0.0.1:{port}/.insteadOf")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/")
        project(tmp_path / "a", "gh:org/x")
        project(tmp_path / "b", "gh:org/x")

        def accept() -> None:
            while True:
                try:
                    asked.append(server.accept())
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        monkeypatch.setattr(lagging, "TIMEOUT", 1.5)
        assert lagging.run([str(tmp_path)]) == 2
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert capsys.readouterr().out.count("no answer in 1.5 seconds") == 2
    assert len(asked) == 1
    connection, _ = asked[0]
    with connection:
        connection.settimeout(10)
        while connection.recv(4096):  # the request, then the end: nobody waits there any more
            pass


# --- Who is asked ---------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """On this computer; `came` has the path of each request, `to` is where it redirects."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.to: str | None = None

        class Handler(BaseHTTPRequestHandler):
            server: Server

            def do_GET(self) -> None:
                self.server.came.append(self.path.partition("?")[0])
                self.send_response(301 if self.server.to else 404)
                self.send_header("Location", self.server.to or "")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def process_request(self, *arguments: Any) -> None:
        self.came.append("")  # a connection, whatever comes
        super().process_request(*arguments)


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    both = (Server(), Server())
    for server in both:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield both
    for server in both:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "source",
    [
        "http://127.0.0.1:PORT/x.git",
        "http://127.1:PORT/x.git",
        "http://2130706433:PORT/x.git",
        "http://0x7f.1:PORT/x.git",
        "http://0177.0.0.1:PORT/x.git",
        "http://0:PORT/x.git",
        "http://localhost:PORT/x.git",
        "http://LOCALHOST:PORT/x.git",
        "http://template.localhost:PORT/x.git",
        "http://[::1]:PORT/x.git",
        "http://[::ffff:127.0.0.1]:PORT/x.git",
        "http://[::127.0.0.1]:PORT/x.git",
        "http://[64:ff9b::7f00:1]:PORT/x.git",
        "git+http://ann@127.0.0.1:PORT/x.git",
        "http://example.com@127.0.0.1:PORT/x.git",
        "git://127.0.0.1:PORT/x.git",
        "ssh://git@127.0.0.1:PORT/x.git",
        "git@127.0.0.1:x.git",
        "git@localhost:x.git",
        "http://169.254.169.254/latest/x.git",
        "http://[fe80::1]/x.git",
        "http://[fd00:ec2::254]/x.git",
        "http://100.100.100.200/x.git",
        "http://224.0.0.1/x.git",
        "http://[ff02::1]/x.git",
        "http://metadata.google.internal/x.git",
    ],
)
def test_addresses_that_are_not_asked(
    source: str, servers: tuple[Server, Server], host: Path, tmp_path: Path
) -> None:
    """They come from a project's file, and lead to what only this computer can reach."""
    server = servers[0]
    source = source.replace("PORT", str(server.server_port))
    (row,) = rows(host, project(tmp_path / "a", source), code=2)
    assert "is this computer or an address of the network itself" in row["problem"]
    assert server.came == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("http://localhost.:PORT/x.git", "no host"),
        ("http://127.0.0.1.:PORT/x.git", "no host"),
        ("http://%31%32%37.0.0.1:PORT/x.git", "no host"),
        ("http://①②⑦.0.0.1:PORT/x.git", "no host"),
        ("http://[fe80::1%25lo]:PORT/x.git", "no host"),
        ("http://127.0.0.1\\:PORT/x.git", "no host"),
        ("http://:PORT/x.git", "no host"),
        ("https:///x.git", "no host"),
        ("git@localhost.:x.git", "no address"),
        ("//127.0.0.1/share/x.git", "path of the network"),
        ("\\\\127.0.0.1\\share\\x.git", "path of the network"),
        ("file://127.0.0.1/share/x.git", "path of the network"),
        ("file:////127.0.0.1/share/x.git", "path of the network"),
    ],
)
def test_addresses_that_say_no_host(
    source: str, words: str, servers: tuple[Server, Server], host: Path, tmp_path: Path
) -> None:
    source = source.replace("PORT", str(servers[0].server_port))
    (row,) = rows(host, project(tmp_path / "a", source), code=2)
    assert words in row["problem"] and servers[0].came == []


def resolve(monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    """Let these names below example.com have these addresses."""

    def getaddrinfo(host: str, *_: object, **__: object) -> list[Any]:
        found = names.get(host.removesuffix(".example.com"))
        if not found:
            raise OSError("unknown")
        return [(0, 0, 0, "", (address, 0)) for address in found.split()]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    lagging.tags.cache_clear()


def problem(capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    assert lagging.run(["--json", str(folder)]) == 2
    return str(json.loads(capsys.readouterr().out)[0]["problem"])


@pytest.mark.parametrize("found", ["127.0.0.1", "10.0.0.1 169.254.169.254", "::1", "fe80::1%eth0"])
def test_names_that_lead_there(
    found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    resolve(monkeypatch, git=found)
    monkeypatch.setattr(lagging, "git", lambda *_, **__: pytest.fail("git was asked"))
    folder = project(tmp_path / "a", "https://git.example.com/x.git")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lagging, "uncommitted", lambda _: None)
        assert "git.example.com is this computer" in problem(capsys, folder)


@pytest.mark.parametrize("found", ["10.1.2.3", "192.168.1.2 172.16.0.1", "fd12::1", "192.0.2.1"])
def test_private_networks_are_asked(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team's own GitLab may stand there. git is held to what was looked at."""
    resolve(monkeypatch, git=found)
    wanted = ",".join(sorted(found.split()))
    for address, port in (("https://git.example.com/x", 443), ("http://git.example.com:81/x", 81)):
        settings = lagging.pinned(address)
        assert settings == [f"http.curloptResolve=git.example.com:{port}:{wanted}"]
    assert lagging.pinned("git@git.example.com:x.git") == []


def test_git_keeps_to_the_address(
    servers: tuple[Server, Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever the name means by then: git itself knows no git.example.com here."""
    resolve(monkeypatch, git="127.0.0.1")
    monkeypatch.setattr(lagging, "NOT_ASKED", [])
    folder = project(tmp_path / "a", f"http://git.example.com:{servers[0].server_port}/x.git")
    assert "not found" in problem(capsys, folder)
    assert servers[0].came == ["", "/x.git/info/refs"]


def test_redirects_are_not_followed(
    servers: tuple[Server, Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Asked again is the same host, with the .git that GitLab redirects to."""
    first, second = servers
    first.to = f"http://127.0.0.1:{second.server_port}/y.git/info/refs"
    monkeypatch.setattr(lagging, "NOT_ASKED", [])
    lagging.tags.cache_clear()
    folder = project(tmp_path / "a", f"http://127.0.0.1:{first.server_port}/x")
    assert "301" in problem(capsys, folder)
    assert [path for path in first.came if path] == ["/x/info/refs", "/x.git/info/refs"]
    assert second.came == []


def test_folders_from_a_file(host: Path, tmp_path: Path) -> None:
    project(tmp_path / "one", "gh:org/private-worker")
    project(tmp_path / "more" / "two", "gh:org/private-worker", "v1.2.0")
    listed = tmp_path / "projects.txt"
    listed.write_text("# ours\n\none\n  more\n")
    found = rows(host, "--file", listed, code=1)
    assert [row["behind"] for row in found] == [0, 2]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--nonsense",),
        ("--jso", "."),
        ("--file",),
        ("--file", "nowhere.txt"),
        ("--file", "."),
        ("--file", "/dev/null"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], host: Path) -> None:
    code, said, done = run(host, *arguments)
    assert code == 2 and done.stdout == "" and said.startswith("lagging.py: ")


@pytest.mark.parametrize("folder", ["nowhere", "~nobody-of-this-name/x", "tests", "a\x1bb"])
def test_folders_that_are_no_projects(folder: str, host: Path) -> None:
    code, said, _ = run(host, folder)
    assert code == 2 and "no .copier-answers.yml here" in said and "\x1b" not in said


def test_without_git(host: Path, tmp_path: Path) -> None:
    code, said, _ = run(host, project(tmp_path / "a", "gh:org/x"), PATH=str(tmp_path))
    assert (code, said) == (2, "lagging.py: git is not installed\n")


@pytest.mark.skipif(os.name == "nt", reason="a pipe of a POSIX shell")
def test_a_reader_that_has_enough(host: Path, tmp_path: Path) -> None:
    project(tmp_path / "a", "gh:org/private-worker")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)],
        stdout=write,
        stderr=subprocess.PIPE,
        env=hub.environment(host),
    )
    os.close(write)
    assert done.stderr == b""


def test_help_says_the_exit_codes(host: Path) -> None:
    code, said, _ = run(host, "--help")
    assert code == 0 and "Exit code: 0 all is well, 1 there is something to do, 2" in said


def test_it_brings_what_it_imports() -> None:
    """`uv run lagging.py` installs what the comment on top lists."""
    source = SCRIPT.read_text(encoding="utf-8")
    block = re.findall(r"(?m)^# (?!/)(.*)$", source.split("# ///\n")[0])
    wanted = tomllib.loads("\n".join(block))["dependencies"]
    modules = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        + [alias.name for alias in node.names if isinstance(node, ast.Import)]
    }
    packages = {re.split(r"[>=<]", line)[0].replace("pyyaml", "yaml") for line in wanted}
    assert modules - set(sys.stdlib_module_names) == packages
