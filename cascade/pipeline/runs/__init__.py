"""Runs over files of rows: which columns are read, and the rows answered here or on a cluster.

How one item is answered is in the modules above; reading and writing files is in `cascade.io`;
measuring answers is in `cascade.evaluation`.
"""
