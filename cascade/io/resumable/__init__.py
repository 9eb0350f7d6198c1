"""The output of a run: where it goes, and the journal by which a killed run is resumed.

How rows become bytes is in `cascade.io.tables`; which rows are answered how is the pipeline's.
"""
