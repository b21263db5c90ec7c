"""`python -m aebuild`."""

from aebuild.cli import main

if __name__ == "__main__":
    main()
