"""Rules as law: whether one holds in itself, whether its authority may give it, and which follows which."""
