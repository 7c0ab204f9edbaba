"""What ``pixgrad check`` looks for, by subject; each rule says what Quarto does without a word."""
