"""Frozen nouns, validated at birth. Nothing here reads, writes or connects."""
