"""Catalogues of EFSA: terms, hierarchies that order them, the notation of codes, and reading."""
