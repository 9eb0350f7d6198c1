"""Encoders, the index of node texts, and narrowing to the best children."""
