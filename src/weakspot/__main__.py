"""``python -m weakspot``, which torchrun needs to start several processes of a command."""

from weakspot.cli import main

if __name__ == "__main__":
    main()
