"""Disclosure control between a combined result and its release: declared stages, fixed order."""
