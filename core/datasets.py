"""Freezes examples, or the rows of a file, into a dataset: what is trained on stays known whatever becomes of them."""
