"""``python -m pixgrad``."""

from pixgrad.cli import main

if __name__ == "__main__":
    main()
