"""`python -m incident_manager` is the command line; the one place where the package imports `cli`."""

from cli.main import run

if __name__ == "__main__":
    run()
