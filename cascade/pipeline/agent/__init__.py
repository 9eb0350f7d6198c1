"""The agent: a language model that walks the taxonomy with tools, one action at a time.

An item that retrieval doubts is looked at again: the model sees a list of nodes and writes one of
the actions that a grammar allows there (`actions`), a tool does it (`tools`), and so on within a
budget (`loop`). What the model may do is what the list shows, so an answer is a node of the
taxonomy in any case. `walk` decides which items are looked at, and makes answers of what was found.

Belongs here: the walk of the model. Does not: engines and grammars (`generation`), what is learnt
for it (`training`).
"""
