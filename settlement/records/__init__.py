"""Every record type, a family in each module: its fields, who may say it, how it travels and ages, what it causes.

A family's module has the schemas of its types and a row for each; `conduct/` has, under the same name, what a party
makes of them. `registry` is made of the rows that are there. Integers carry their unit in the name: hz, mdb(m)
milli-decibel, ns since the Unix epoch (UTC), e7 degrees x 1e7, mm, ppm millionths of a ratio. Keys are part of the
record format and never reused.
"""
