"""Weights: where they are, whether they are what they should be, and how to load them."""
