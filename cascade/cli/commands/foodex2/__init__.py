"""`cascade foodex2`: descriptions to codes; codes explained, checked, and brought along."""

from __future__ import annotations

from cascade.cli.commands.foodex2 import codes, encode, learn
from cascade.cli.commands.foodex2.common import app

__all__ = ["app", "codes", "encode", "learn"]
