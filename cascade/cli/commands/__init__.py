"""The commands of `cascade`, one module each, those of one kind in a folder.

Belongs here: the options of one command, and the calls that it makes. Does not: what several
commands share (`cascade.cli`), and any logic that Python users need too (the rooms below).
"""
