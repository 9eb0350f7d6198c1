"""Transformers in plain torch, over texts that lie one after another without padding."""
