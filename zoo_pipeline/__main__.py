"""Where `zoo` begins, and `python -m zoo_pipeline`: Ctrl-C while the command is still loading gets its line, too."""

import sys


def main() -> int:
    """Load the command line and run it; returns its exit code."""
    try:
        from zoo_pipeline.cli import main as command
    except KeyboardInterrupt:
        print("zoo: interrupted; nothing was begun", file=sys.stderr)
        return 130  # as a shell has it for SIGINT
    return command()


if __name__ == "__main__":
    sys.exit(main())
