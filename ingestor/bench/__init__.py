"""Scripts that measure, each printing its table: `.venv/py3.14/bin/python -m bench.<name>`."""
