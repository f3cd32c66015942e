"""Decisions that several members of a group take together."""
