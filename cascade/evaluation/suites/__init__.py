"""Suites of methods on the same rows, and their leaderboard."""
