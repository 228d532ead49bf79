"""What a deployment tells people outside."""
