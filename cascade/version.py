"""The version of the package, for packs, runs and messages."""

__version__ = "0.1.0"
