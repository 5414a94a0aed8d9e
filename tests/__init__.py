"""What proves the packages, in folders named after them; `house/` proves the code itself."""
