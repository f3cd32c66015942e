"""How a party handles each record type: judges it, acts on the decision, answers a refused one, replays it.

A family's module here has the same name as the one with its schemas above. It declares CONDUCT: one entry for each of
its types that is acted on. The two halves are apart because whoever only reads records needs no party, and whoever
acts needs both.
"""
