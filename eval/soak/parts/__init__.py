"""One module for each part: `SHARE` of the time, and `run(soak)`, which returns its rows."""
