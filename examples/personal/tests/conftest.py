"""Fixtures of your tests. Yours from the first copy on: an update never touches this file.

`worker` and `access` are there without a line here: they come from private_worker.testing.
"""
