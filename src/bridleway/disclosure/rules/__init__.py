"""One file per release rule that hides cells.

Each exports STAGE (its place in the fixed order), NAME, LOOKS_OUTSIDE (whether it looks at earlier
answers), `words(rules)` (the rule as a sentence, empty when it is off), ADVICE (what an asker can
do) and `hide(table, hidden)`, which returns the positions of further cells to hide. Dropping in a
file adds a rule.
"""
