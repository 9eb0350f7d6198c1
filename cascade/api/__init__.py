"""The Python door: `cascade.fit`, `cascade.evaluate`, packs, the scikit-learn estimator, SQL.

What these names do is done in rooms below; here it gets the shape that a notebook or a program
wants. What a classifier itself can be asked is in `pipeline/doors/`.
"""
