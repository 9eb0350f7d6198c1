"""`cascade finetune` of one sentence encoder for many taxonomies, also such as it has never seen.

A retriever for one taxonomy is in `rankers`.
"""
