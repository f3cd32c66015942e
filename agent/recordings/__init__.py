"""Recordings and the licence they were made under: shown, handed on where it allows, deleted on time."""
