"""Many runs of one question: scenarios by seeds by parameters, on all cores or a cluster, kept as they are done."""
