"""The certification tests of a CBSD and of a domain proxy, judged by an oracle instead of by a person."""
