"""A standard witness of logs over HTTP (C2SP tlog-witness): server and client."""
