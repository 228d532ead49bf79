"""What the pages Darwin writes have in common: their shell, their plots, and how files are kept."""
