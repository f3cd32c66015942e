"""The trial report: one self-contained HTML file with pictures."""
