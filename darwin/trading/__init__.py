"""Brackets, costs, sizing, limits, ledger."""
