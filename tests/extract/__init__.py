"""Record-level extracts."""
