"""What is right and wrong with a node, looked at without changing anything."""
