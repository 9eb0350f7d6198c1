"""FoodEx2, EFSA's food classification: catalogues, codes, business rules, releases.

A code such as `A0BXX#F28.A07KG$F10.A077G` is a base term with explicit facets, each a descriptor
in a facet category. Here belongs what EFSA defines: its files (`format`, `ecf`, `workbook`), what
is in them (`catalogue`, `taxonomy`), the notation (`code`), the rules (`parsed_code`, `rules`), the
way from one release to the next (`releases`), and each of these for files of codes (`annotate`).
Finding the code of a description does not: that is the walk of faceted taxonomies,
`cascade.pipeline.facets`, and `cascade.training.foodex2`.
"""
