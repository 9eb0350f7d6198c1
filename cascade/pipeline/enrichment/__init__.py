"""`cascade taxonomy enrich`: a language model writes what people call the things of each node.

Belongs here: what is asked, what is kept of it, and the checks. Does not: how nodes' texts are
searched (`retrieval`), nor how files hold them (`taxonomy`).
"""
