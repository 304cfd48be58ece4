"""Reads, weighs, seals and verifies passports."""
