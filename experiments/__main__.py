"""The command `python -m experiments NAME`."""

from experiments.runner import main

if __name__ == "__main__":
    main()
