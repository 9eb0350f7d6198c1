"""The commands of `cascade`, one module each (`foodex2` has a folder of subcommands).

Belongs here: the options of one command, and the calls that it makes. Does not: what several
commands share (`cascade.cli`), and any logic that Python users need too (the rooms below).
"""
