"""An institution's own codes: learnt from its coded descriptions, and tried out on others.

`rows` holds them out in turn, `names` finds what they call terms, `codes` learns from both,
`choosing` keeps of it what shows a gain, `pack` puts it into a pack, and `trial` measures one
beside the catalogue alone. What is used of it is in `cascade.pipeline.facets`.
"""
