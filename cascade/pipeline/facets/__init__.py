"""The walk of faceted taxonomies such as FoodEx2: base term, facet categories, descriptors.

`walk` goes through the stages and is assembled from a config there; `evidence` and `features` say
what a description has in common with terms, `ranking` ranks terms, `categories` classifies in
which categories something is said. What EFSA defines, codes and rules, belongs to
`cascade.foodex2`; fitting of categories to `cascade.training.foodex2`.
"""
