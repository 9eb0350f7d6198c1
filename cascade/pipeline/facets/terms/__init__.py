"""A small network that ranks base terms: the features that it reads, and itself.

It is fitted by `cascade.training.foodex2.terms`; what EFSA defines belongs to `cascade.foodex2`.
"""
