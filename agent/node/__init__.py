"""One running node: the agent's loop, its policies, and its warden's process."""
