"""Training: the loop and gradient probes."""
