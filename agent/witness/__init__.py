"""A stock witness of logs over HTTP (C2SP tlog-witness): serving one, and asking one."""
