"""Finders of what must not stand in free text. One file each; `redactor()` gives text -> text."""
