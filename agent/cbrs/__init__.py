"""The SAS-CBSD interface's I/O: TLS, the endpoint that base stations talk to, and the client towards a SAS above."""
