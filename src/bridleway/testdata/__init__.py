"""Made-up data: a town of any size, the same for the same seed."""
