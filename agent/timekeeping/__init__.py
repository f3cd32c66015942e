"""A node's sources of time and place, and their intervals."""
