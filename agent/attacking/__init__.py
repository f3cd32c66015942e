"""Runs the attack table against running nodes, through real sockets and files."""
