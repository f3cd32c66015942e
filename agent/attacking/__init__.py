"""The attack table, carried out through the outermost doors of nodes that run."""
