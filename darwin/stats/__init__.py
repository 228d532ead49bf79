"""Statistics of performance and of markets."""
