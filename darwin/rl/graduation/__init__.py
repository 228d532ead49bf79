"""How an agent earns the right to act: its measured record, the conditions, acts of persons."""
