"""GGUF files: what is in them, and their conversion to what transformers reads, once."""
