"""Codes generalise instead of vanishing: hierarchies, ECL, named ancestors, cuts for minCount."""
