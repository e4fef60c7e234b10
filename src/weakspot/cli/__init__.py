"""The command line: a thin shell over the package."""

from weakspot.cli.app import main

__all__ = ["main"]
