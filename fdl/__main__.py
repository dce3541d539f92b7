"""`python -m fdl` is the command `fdl`."""

from fdl.cli import main

if __name__ == "__main__":
    main()
