"""Files of rows as tables, in and out: CSV, TSV, JSON lines, Parquet, Excel, folders of pictures.

A module for each format, or a folder, reads it and writes it. What belongs to a run (journal,
resuming, overwriting) is in `cascade.io.resumable`; which columns are texts or labels, the pipeline
knows.
"""
