"""The door for a program's samples: a process between the program's sockets and the warden, without any authority."""
