"""A node's configuration and key files: settings, where they are looked for, and locks on folders."""
