"""HTTP within bounds: a deadline for all of it, hosts that may be reached, breakers of circuits.

What is asked, and what answers mean, is for others: pictures in `cascade.io`, language models in
`cascade.generation`.
"""
