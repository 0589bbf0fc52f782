"""``python -m rfgraph``."""

import sys

from rfgraph.cli import main

sys.exit(main())
