# Managed by the private-worker template: do not edit, an update replaces it.
"""Tests of the guard, one file for each part of what it decides. They need nothing of your API.

Ids such as J7 or threat 12 are explained in the template, in docs/public-cases.md.
"""
