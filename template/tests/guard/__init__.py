# Managed by the private-worker template: do not edit, an update replaces it.
"""Tests of the guard, one file for each part of what it decides. They need nothing of your API."""
