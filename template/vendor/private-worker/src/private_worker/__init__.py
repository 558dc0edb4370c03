"""The tools of a private Worker: `testing`, `conformance`, and the command `private-worker`."""
