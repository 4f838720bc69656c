"""What is the same photo: hashes in, groups out. Nothing is ever deleted here."""
