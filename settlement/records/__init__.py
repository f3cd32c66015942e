"""Every record type, a family in each module: its fields, who may sign it, how it travels and ages, what it causes.

A family's module has the schema classes of its types and a row for each type; the module of the same name in `conduct/`
has what a party does with such records. `registry` collects the rows of all modules. Integers carry their unit in the
name: hz, mdb(m) thousandths of a dB(m), ns (instants: since the Unix epoch, UTC), e7 degrees x 1e7, mm, ppm millionths
of a ratio. Field numbers (CBOR map keys) are part of the record format and never reused.
"""
