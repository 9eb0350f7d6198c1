"""Labels of rows as nodes: found in a taxonomy, taken out of cells of several, made a taxonomy.

What answers rows is in `runs` beside this room; how a label is looked up, in `cascade.taxonomy`.
"""
