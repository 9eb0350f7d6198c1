"""Encoders, the FAISS index of node texts, and narrowing children to the most similar.

What gives candidates probabilities belongs to `scoring`, what a model computes from items to
`features`, how weights are found and loaded to `models`.
"""
