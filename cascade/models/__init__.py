"""Model weights: finding them, checking them, loading them, and running them.

Here is what knows of files of weights and of tensors: language models, sentence encoders, vision
models, classifiers. What is asked of a model, and what is made of its answers, is not: see
`generation`, `retrieval` and `scoring`.
"""
