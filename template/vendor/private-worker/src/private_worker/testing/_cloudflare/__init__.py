"""What a package of this name offers in workerd to the SDK, whose patches of packages need it.

The kit puts it beside Pyodide's own packages. Only there can it be imported.
"""
