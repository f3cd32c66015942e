"""An authority's desk: credentials, rules, requests and names, a folder of signed files."""
