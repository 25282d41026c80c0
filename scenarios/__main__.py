"""`python -m scenarios` is the command `moesim`."""

from scenarios.cli import main

if __name__ == "__main__":
    main()
