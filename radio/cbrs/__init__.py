"""The SAS-CBSD interface (WINNF-TS-0016) without I/O: messages, the CBSD's states, and the answers a SAS gives."""
