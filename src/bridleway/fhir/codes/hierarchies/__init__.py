"""Where hierarchies come from: one module per kind, found by its name.

Each has `SYSTEM`, the default URI of its code system, and
`load(options, where, codes=()) -> Hierarchy`: what the policy says about the hierarchy, the
folder in which relative paths begin, and the recorded codes, for a source that holds more than
can be fetched. Terminology content is the user's own: none is shipped here.
"""
