"""Training: the loop, gradient probes, records of runs."""
