"""Runs over many files, each a partition that one worker reads, answers and writes for itself.

Nothing of a row passes through the process that began the run. How rows of one file are shared out
is `runs.workers`, and on a cluster `runs.cluster_run`.
"""
