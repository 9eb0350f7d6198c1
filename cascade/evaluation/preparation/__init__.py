"""`cascade prepare`: labelled rows cleaned and split into train, validation and test.

Not here: sampling inside a fit (`training.sampling`).
"""
