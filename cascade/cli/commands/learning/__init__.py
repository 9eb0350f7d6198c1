"""Commands that learn from labelled rows: `fit`, `finetune`, `prepare`, `pack`."""
