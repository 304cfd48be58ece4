"""Bridleway's simplest FHIR walks in C; `bridleway.fhir.forms` finds and uses them."""
