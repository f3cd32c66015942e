"""The governed chain of signed records, the two-party protocol and the mesh that carries it."""
