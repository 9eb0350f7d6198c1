"""`python -m cascade`: the command line of the interpreter that runs it."""

from cascade.cli import main

if __name__ == "__main__":  # processes that are spawned import it too
    main()
