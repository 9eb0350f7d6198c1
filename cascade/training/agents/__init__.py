"""What the agent learns: walks to the right node, with real results of its tools.

Belongs here: the recipe, the teacher that walks, and the experiment of `cascade finetune`. Does
not: the walk itself (`pipeline.agent`), and how added weights are learnt (`training.adapters`).
"""
