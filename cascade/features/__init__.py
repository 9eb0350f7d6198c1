"""Items to the numbers that heads and neighbours are computed on; each is computed once."""
