"""Labelled rows made ready to learn from and to measure on: cut, cleaned, divided."""
