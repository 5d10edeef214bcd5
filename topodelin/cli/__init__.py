"""The command line `topodelin`."""

from topodelin.cli.app import app, main

__all__ = ["app", "main"]
