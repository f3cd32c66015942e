"""The ADALM-Pluto: adi.Pluto for tuning, raw libiio buffers, a connection that only mutes, one that only watches."""
