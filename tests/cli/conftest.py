"""The scene that can be judged by hand, for every command."""

from tests.cli.tables import scene

__all__ = ["scene"]
