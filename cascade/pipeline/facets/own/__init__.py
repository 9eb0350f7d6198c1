"""What an institution's coded descriptions taught, in use.

`rows` reads such descriptions, `codes` is the file of what was learnt of them, and by it `words`
knows other names of terms, `recall` descriptions that were coded before, and `ranking` how to rank
terms and tell categories. Learning belongs to `cascade.training.foodex2.own`.
"""
