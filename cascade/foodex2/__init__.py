"""FoodEx2, EFSA's food classification: its catalogue, its codes and its business rules.

A code such as `A0BXX#F28.A07KG$F10.A077G` is a base term, and explicit facets: descriptors in facet
categories. `catalogue` holds the terms with their hierarchies and what they imply, `code` the
notation, `rules` what EFSA says about which facets a term may have.
"""
