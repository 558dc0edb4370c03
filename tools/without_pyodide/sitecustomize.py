"""With this folder on PYTHONPATH pywrangler works where Pyodide's own Python cannot be had.

It resolves, locks, downloads and installs with its own code and uv. Two things are not as on a
developer's computer: the file `python` here is asked about the platform, and `.venv-workers`, which
is only for editors, stays empty. WITHOUT_PYODIDE_INDEX stands for Pyodide's index; without it that
is this folder, which has no packages.
"""

import os
from pathlib import Path

from pywrangler import utils

HERE = Path(__file__).parent
utils.get_uv_pyodide_interp_name = lambda: str(HERE / "python")
utils.get_pyodide_index = lambda: os.environ.get("WITHOUT_PYODIDE_INDEX", HERE.as_uri())

from pywrangler import sync  # noqa: E402  # after utils, from which it takes names


def _install_requirements_to_venv(constraints: list[str]) -> None:
    sync._write_sync_token(sync.get_venv_workers_token_path())


sync.create_workers_venv = lambda: None
sync._install_requirements_to_venv = _install_requirements_to_venv
