"""What runs leave behind, so that they can be found, read, drawn and compared later.

Belongs here: where a run came from (versions, machine, git), its curves, trackers of others, and
the reading of folders of runs of every kind. Does not: training and measuring themselves.
"""
