"""`cascade finetune` of a reader of pairs, on what an encoder finds for rows of many taxonomies.

The sets are those of `encoders`. Using a reader is not here: see `scoring`.
"""
