"""What runs experiments: their protocol, the runs in processes, publishing, checking."""
