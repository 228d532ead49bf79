"""The pages of the operator and the files that they hand out."""
