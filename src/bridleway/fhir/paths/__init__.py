"""FHIRPath (N1): the paths of rules, and the expressions that choose and rewrite values."""
