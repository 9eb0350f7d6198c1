"""Language models behind one protocol: in this process (transformers, vLLM) or at a server.

What an engine may do is in `generation.engine`; which there are, in `registry`. How one forward
pass scores all answers is in `generation.tree_scoring`.
"""
