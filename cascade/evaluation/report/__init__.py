"""The reports of a run and of a comparison, each one HTML file that needs no other.

Here are templates, style, scripts and what fills them. Not here: the figures themselves
(`evaluation.metrics`) and where errors are (`evaluation.error_analysis`).
"""
