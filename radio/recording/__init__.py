"""SigMF recordings: metadata checked field by field, samples read in blocks, archives without unpacking; one reader."""
