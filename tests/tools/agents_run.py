"""Real agents, and a person at a real browser."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from playwright.sync_api import expect, sync_playwright
from pydantic import AnyUrl

from local_run import free_port
from oauth_run import ANN

Era = Literal["auto", "legacy"]
ASKED = re.compile(r"http://\S+/oauth/authorization\?\S+")
PACKAGES = {"mcp-remote": "0.15.1", "@modelcontextprotocol/inspector": "2.12.0"}


class Person:
    """Somebody at Chromium. `logins`: how often the browser was needed. `gone`: watches no more."""

    def __init__(self, email: str = ANN) -> None:
        self.email, self.logins, self.gone = email, 0, False

    def watch(self, said: Path) -> None:
        """Logs in as soon as an agent asks for it in this file."""
        while not self.gone:
            if asked := ASKED.search(said.read_text(encoding="utf-8")):
                self.log_in(asked[0])
                return
            time.sleep(0.05)

    def log_in(self, url: str) -> None:
        """Opens what the agent asks to open, says who it is, and waits for the agent's own page."""
        self.logins += 1
        chromium = shutil.which("chromium")
        if chromium is None:
            pytest.fail("chromium is missing: apt-get install chromium", pytrace=False)
        with sync_playwright() as playwright:
            args = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=chromium, args=args)
            page = browser.new_page()
            page.goto(url)
            expect(page.locator("body")).to_contain_text("asks to act as you")
            page.get_by_label("Another e-mail address").fill(self.email)
            page.get_by_role("button", name="Log in", exact=True).click()
            page.wait_for_url("**/callback?*code=*")
            browser.close()


class Callback:
    """The page of an agent on this computer that the browser comes back to."""

    def __init__(self) -> None:
        told: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = dict(parse_qsl(urlsplit(self.path).query))
                told.extend([found] if found else [])
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"You can close this page.")

            def log_message(self, *_: Any) -> None:
                pass

        self.told = told
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/oauth/callback"
        Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Kept:
    """Where the official client keeps its tokens."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@asynccontextmanager
async def python_client(
    url: str, person: Person, era: Era, kept: Kept, redirect_uri: str = ""
) -> AsyncIterator[Client]:
    """The official Python SDK's client, as its documentation sets it up."""
    callback = Callback()
    answered_at = AnyUrl(redirect_uri or callback.url)
    metadata = OAuthClientMetadata(client_name="Python", redirect_uris=[answered_at])

    async def open_browser(url: str) -> None:
        await anyio.to_thread.run_sync(person.log_in, url)

    async def code() -> AuthorizationCodeResult:
        return AuthorizationCodeResult.model_validate(callback.told[-1])

    auth = OAuthClientProvider(url, metadata, kept, open_browser, code)
    try:
        async with httpx2.AsyncClient(auth=auth, trust_env=False, timeout=30) as http:
            async with Client(streamable_http_client(url, http_client=http), mode=era) as client:
                yield client
    finally:
        callback.close()


class Npm:
    """The agents that npm has. What they keep, they keep in `home`."""

    def __init__(self, node: Path, node_modules: Path, home: Path) -> None:
        self.node, self.node_modules, self.home = node, node_modules, home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "BROWSER": "true",  # the program that opens nothing
            "MCP_REMOTE_CONFIG_DIR": str(home),
            "MCP_INSPECTOR_SECRET_STORE": "file",
            "MCP_AUTO_OPEN_ENABLED": "true",  # for the Inspector, which has no terminal here
        }

    @asynccontextmanager
    async def mcp_remote(self, url: str, person: Person, era: Era) -> AsyncIterator[Client]:
        """mcp-remote, which makes a local server of it for those that know no OAuth."""
        program = self.node_modules / "mcp-remote" / "dist" / "proxy.js"
        command = StdioServerParameters(
            command=str(self.node),
            args=[str(program), url, "--host", "127.0.0.1"],
            env=self.environment,
        )
        said = self.home / "said"
        with said.open("w", encoding="utf-8") as log:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, person.watch, said)
                try:
                    async with Client(stdio_client(command, errlog=log), mode=era) as client:
                        yield client
                finally:
                    person.gone = True

    def inspector(self, url: str, person: Person, *words: str) -> dict[str, Any]:
        """What the Inspector's command line prints."""
        launcher = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
        command = [str(self.node), str(self.node_modules / launcher), "--cli", url]
        command += ["--transport", "http", "--format", "json"]
        command += ["--callback-url", f"http://127.0.0.1:{free_port()}/oauth/callback", *words]
        with subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout
            lines = []
            for line in process.stdout:
                lines.append(line)
                if asked := ASKED.search(line):
                    person.log_in(asked[0])
        assert process.returncode == 0, "".join(lines)
        found: dict[str, Any] = json.loads(lines[-1])["result"]
        return found
