"""An authority's desk, a folder of signed files: credentials, rules, requests and names."""
