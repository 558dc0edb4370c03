"""The old name of command_run."""

from command_run import *  # noqa: F403
from command_run import run as ops  # noqa: F401
