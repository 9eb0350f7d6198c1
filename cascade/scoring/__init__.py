"""Scorers: everything that can judge candidates, one module each."""
