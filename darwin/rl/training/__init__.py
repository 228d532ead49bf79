"""Where models come from: so far, from elsewhere."""
