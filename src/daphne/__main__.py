"""``python -m daphne``: the command ``daphne``."""

from daphne.cli import main

main()
