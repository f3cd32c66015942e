"""Parts of an installation: manual pages and completion from the command line, systemd units for a node."""
