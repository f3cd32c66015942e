"""The two-party settlement protocol: messages, machines, cells and the artifact."""
