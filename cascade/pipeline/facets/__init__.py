"""The walk of faceted taxonomies such as FoodEx2: base term, facet categories, descriptors.

`walk` goes through the stages, which it makes from a config; `evidence` says what a description has
in common with terms, `ranking` ranks terms, `categories` classifies in which categories something
is said; `own` does all that by an institution's coded descriptions. What EFSA defines, codes and
rules, belongs to `cascade.foodex2`; fitting of categories to `cascade.training.foodex2`.
"""
