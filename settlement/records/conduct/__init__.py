"""How a party handles each record type: judges it, acts on the decision, answers a refused one, replays it.

A family's module here has the same name as the module with its schema classes in `records/`. It declares CONDUCT: one
entry for each of its types that a node acts on. The two are apart because a program that only reads records needs no
node, and a node needs both.
"""
