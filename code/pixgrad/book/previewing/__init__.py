"""The book while it is written: a local site that follows each edit."""
