"""``python -m farthing``: the command line, where its script is not on the path."""

import sys

from farthing.cli.main import main

sys.exit(main())
