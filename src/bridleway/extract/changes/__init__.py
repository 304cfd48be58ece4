"""Changes of columns that are no quasi-identifiers: sensitive and plain ones. One file each.

A part exports `read(options) -> Recodes | Draws`:

- one that *recodes* decides from the distinct values alone what each becomes. It is done first:
  privacy models, comparisons with other extracts and reports see the values that are released;
- one that *draws* changes rows by chance, last, in this process. Privacy models hold of the
  values before it: what leaves tells less than they do.
"""
