"""Measuring predictions on labelled rows: `cascade eval`, `compare`, `prepare` and suites.

Here are the metrics, the run folder, reports, comparisons and leaderboards. Not here: classifying
itself (`cascade.pipeline`), and fitting (`cascade.training`).
"""
