"""examples/ is what the template makes today, so that a change of it can be read as one."""

from pathlib import Path

import pytest

import examples
from files import all_files


@pytest.mark.parametrize("name", examples.PROJECTS)
def test_example_is_up_to_date(name: str, tmp_path: Path) -> None:
    examples.render(tmp_path / "fresh", examples.PROJECTS[name])
    fresh = {file: path.read_bytes() for file, path in all_files(tmp_path / "fresh")}
    stands = {file: path.read_bytes() for file, path in all_files(examples.EXAMPLES / name)}
    names = sorted(fresh.keys() | stands.keys())
    different = [file for file in names if fresh.get(file) != stands.get(file)]
    assert different == [], "run: uv run python tools/examples.py"


def test_every_example_has_answers() -> None:
    assert {path.name for path in examples.EXAMPLES.iterdir()} == set(examples.PROJECTS)
