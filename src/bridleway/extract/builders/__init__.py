"""Built-in hierarchies, one file each: `build(column, values, options)`.

values: the distinct values of the column as text, None for a missing one; options: what the
recipe says under the builder's name. Raises UsageError for options and values it cannot read.
"""
