"""`python -m private_worker` is the command `private-worker`."""

import sys

from .cli import main

sys.exit(main())
