"""Ways to ask a classifier beside `classify`: data frames, accounts, `await`, steps taken again.

Each module is a part of `Classifier`, which has their methods. What answers, and how, is elsewhere.
"""
