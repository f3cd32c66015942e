"""SigMF recordings: metadata read field by field, samples in blocks, archives in place; one reader for every door."""
