"""Candidates of a whole taxonomy in a list: how a prompt shows them, and how a model chooses.

Belongs here: what is shown, and asking a model in two orders. Does not: where candidates come from,
nor what the choice is fused with (`scoring.methods.choose`).
"""
