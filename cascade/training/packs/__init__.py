"""`cascade fit`: labelled rows in, a pack out.

The recipe, the parts that it names, what is chosen on held-out rows, and the folder. Reading a pack
back is not here: see `pipeline`.
"""
