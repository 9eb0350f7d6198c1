"""Answers for other programs, as long as they ask.

Belongs here: a folder for each protocol, which bounds what is asked and gives answers in its forms.
Does not: how items are classified (`pipeline`).
"""
