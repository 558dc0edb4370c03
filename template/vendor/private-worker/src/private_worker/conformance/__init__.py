"""The guard's own tests: one file for each part of what it decides. `npm run test:guard` runs them.

They run the project's front door and guard as they are, with the API of `probe/` behind them, and
need nothing of yours. Tests of what a shape does not have are not collected there: `conftest.py`
names the files, `@only(...)` single tests. docs/public-cases.md in the template's repository lists
mistakes that other projects made in public, each with the tests that would notice it here.
"""
