"""In the Worker's Python when packages could not be had: says so where one is imported."""

import sys
from types import ModuleType

missing: list[str] = []


class Finder:
    """The last one to be asked: nobody else has found the module."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: ModuleType | None = None) -> None:
        """Raises ModuleNotFoundError for a top-level module."""
        # importlib.util.find_spec only asks: _find_spec, which calls this, was called by it.
        only_asked = sys._getframe(2).f_code.co_name == "find_spec"
        if path is None and not only_asked:
            own = [line for line in missing if _module(line.split()[0]) == _module(name)]
            # Without `name`: else Pyodide adds advice that is not for Workers.
            raise ModuleNotFoundError(
                f"No module named {name!r}: could not get {'; '.join(own or missing)}"
            )


def _module(name: str) -> str:
    return name.replace("-", "_").lower()


sys.meta_path.append(Finder)
