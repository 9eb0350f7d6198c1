"""Features: items to the vectors that heads and labelled neighbours are computed on.

Vectors that are compared with those of node texts belong to `retrieval`, loading models to
`models`.
"""
