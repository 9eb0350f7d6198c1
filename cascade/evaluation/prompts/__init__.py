"""Prompts measured against one another on labelled rows, and tried on one.

Belongs here: which setting a prompt is, the runs of a comparison, its table. Does not: what prompts
are (`generation`), and how runs are compared (`evaluation.comparison`).
"""
