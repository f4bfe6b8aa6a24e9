"""Programs, and plans that run them."""
