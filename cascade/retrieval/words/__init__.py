"""Words and characters that texts of items and of nodes have in common; no encoder, no taxonomy."""
