"""Disputes over settlements, from the grounds to the ruling: pure functions of the records that are cited."""
