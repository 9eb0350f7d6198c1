"""Backbones that can be fine-tuned: a sentence encoder, a LLaMA through LoRA, a vision model.

Each is a `TrainableBackbone` of `backbone_training`, which trains it together with its heads.
"""
