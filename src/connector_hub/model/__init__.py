"""Pure values of the hub and the rules between them: no I/O, no library."""
