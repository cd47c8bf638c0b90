"""`python -m cnnlint`."""

import os
import sys

# Python puts the working directory first: what lies beside a model is not to be imported, nor searched for plugins.
if not sys.flags.safe_path and sys.path and os.path.realpath(sys.path[0]) == os.path.realpath(os.getcwd()):
    del sys.path[0]

from cnnlint.cli import program

if __name__ == "__main__":
    program()
