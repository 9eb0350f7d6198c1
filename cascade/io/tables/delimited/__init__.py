"""CSV and TSV: rows in, each record of the file one, and rows out with answers beside them."""
