"""Scorers: everything that gives candidates probabilities.

Belongs here: the protocol, each method (`methods`), what they are made of (`components`), and how
scores are combined and calibrated. Does not: reading files, descending, deciding (`pipeline`), and
fitting (`training`).
"""
