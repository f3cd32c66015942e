"""Recordings and their licences: shown, enforced on export, and deletion on time."""
