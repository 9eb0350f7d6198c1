"""`cascade finetune` of a language model that chooses from lists, over many taxonomies.

Sets of rows are read as for encoders, LoRA and its loop are those of adapters.
"""
