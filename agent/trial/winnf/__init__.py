"""The certification's questions to a CBSD and to a domain proxy, each answered by an oracle instead of by a person."""
