"""Commands that open a door for others: `serve`, `mcp`, `annotate`."""
