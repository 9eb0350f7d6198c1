"""`cascade finetune` of a language model: labelled rows become instructions, and LoRA learns them.

Prompts and engines are not here: see `generation`.
"""
