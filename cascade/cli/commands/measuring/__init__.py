"""Commands that measure: `eval`, `compare`, `runs`."""
