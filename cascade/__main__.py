"""`python -m cascade`: the command line of the interpreter that runs it."""

from cascade.cli import main

main()
