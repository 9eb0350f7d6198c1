"""Commands that learn from rows: `start`, `fit`, `finetune`, `prepare`, `pack`."""
