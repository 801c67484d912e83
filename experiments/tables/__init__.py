"""What the tables of README and docs are made from: code, committed results, measurements."""
