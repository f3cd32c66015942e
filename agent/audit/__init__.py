"""The auditor's tools over files a user points at: lineages, entries, proofs, leases."""
