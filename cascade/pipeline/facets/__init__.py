"""The walk of faceted taxonomies: a base term, then facet categories, then their descriptors."""
