"""Checks of rules: whether a rule is sound, whether its authority may give it, and which rule may follow which."""
