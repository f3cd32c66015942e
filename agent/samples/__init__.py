"""The door for a program's samples: an unprivileged process between the program's sockets and the warden."""
