"""The demo: one whole station on one machine, every device simulated at the end of a real wire."""
