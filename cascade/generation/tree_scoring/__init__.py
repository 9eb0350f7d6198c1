"""Scoring all allowed answers by one forward pass: token tries, tree attention, the prefix cache.

For models in this process. Engines that cannot be given an attention mask ask for next tokens
instead; see `generation.engines.token_engine`.
"""
