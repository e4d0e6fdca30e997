"""`python -m given` is the command `given`."""

import sys

from given.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
