"""The walk down the taxonomy, who answers it, and the run over a file."""
