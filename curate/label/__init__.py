"""What people say: the ledger, Labelme, agreement, and what the dataset makes of it."""
