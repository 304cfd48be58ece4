"""Policies of other tools do here what their documentation says."""
