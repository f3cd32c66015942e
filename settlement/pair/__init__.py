"""The two-party settlement protocol between holder and user: state tables, both sides, and the proof (artifact)."""
