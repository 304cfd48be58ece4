"""Crashes, races and failing machines."""
