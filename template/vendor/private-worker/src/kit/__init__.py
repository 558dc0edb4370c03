"""Names of the kit in v0.1 and v0.2, for tests from then; today's are in private_worker.testing."""

import sys
from pkgutil import extend_path

from private_worker.standin import admission
from private_worker.testing import access, edge, runtime
from private_worker.testing import needs as project

__all__ = ["access", "admission", "edge", "project", "runtime"]
__path__ = extend_path(__path__, __name__)  # modules of the owner's in tests/kit
# The modules themselves: a copy would have classes of its own, which no `except` would match.
for _name in __all__:
    sys.modules[f"kit.{_name}"] = globals()[_name]
