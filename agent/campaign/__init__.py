"""Campaigns: scenarios by seeds by parameters, on all cores or a cluster, each result stored as it is done."""
