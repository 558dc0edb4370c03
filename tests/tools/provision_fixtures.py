"""Fixtures for `provision`: Cloudflare's stand-in, and projects that have an account there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import sdk_contract
from cloudflare_api import CloudflareApi
from command_run import project
from conftest import Render
from provisioned import PRODUCTION, Make, Setup


@pytest.fixture
def cloud() -> Iterator[CloudflareApi]:
    """In the end all that was sent and answered is held against the SDK."""
    api = CloudflareApi()
    yield api
    api.close()
    assert sdk_contract.broken(api.exchanges) == []


@pytest.fixture
def make(cloud: CloudflareApi, rendered: Render, tmp_path: Path) -> Make:
    def make(worker: str = "my-api", **answers: object) -> Setup:
        folder = project(rendered, tmp_path, **(answers or PRODUCTION))
        account = cloud.account()
        made = cloud.worker(account, worker)
        return Setup(cloud, account, folder, tmp_path / "secrets", made)

    return make
