"""Models that judge candidates: how they are asked, what is understood of their answers."""
