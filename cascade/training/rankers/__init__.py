"""`cascade finetune` of a retriever or a reranker, on right and wrong nodes.

Using either is not here: see `retrieval` and `scoring`.
"""
