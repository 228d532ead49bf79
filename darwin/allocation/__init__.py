"""Books of many assets: how much of each, how much of all, and what protects it. Pure numpy."""
