"""One module for each kind of radio behind the ports."""
