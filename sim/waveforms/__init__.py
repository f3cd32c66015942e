"""Pure generators of the signals that meet in a shared band; they share no code with what detects them."""
