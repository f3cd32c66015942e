"""Standard formats for export: CDDL (RFC 8610), C2SP tlog-proof, COSE receipts (RFC 9942), C2SP tlog-witness."""
