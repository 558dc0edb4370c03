# Managed by the private-worker template: do not edit, an update replaces it.
"""Commands that look after this Worker: `uv run --group ops python -m ops --help`.

One file per command. `project` reads the repository, `shape` says what it was made for. Nothing
here is deployed with the Worker.
"""
