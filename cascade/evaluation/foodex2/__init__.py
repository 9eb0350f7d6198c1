"""What is measured of FoodEx2 codes: facets by category, rankings of each stage, coverage.

Not here: what is measured of any taxonomy (`metrics`), which base terms have too.
"""
