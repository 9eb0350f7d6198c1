"""Answers of the first pass as predictions, with their trace."""
