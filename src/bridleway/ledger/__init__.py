"""Append-only Merkle log, checkpoints, budgets and receipts. No ledger, no answer."""
