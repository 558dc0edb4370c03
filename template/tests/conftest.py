# Managed by the private-worker template: do not edit, an update replaces it.
pytest_plugins = ["kit.plugin"]
