"""From items to predictions: the descent, who answers, confidences, and loading a classifier.

Belongs here: the order of things (narrow, score, decide, descend) and what a prediction keeps of
it. Does not: what gives probabilities (`scoring`), and files of rows (`pipeline.runs`).
"""
