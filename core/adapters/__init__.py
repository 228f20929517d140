"""What speaks to the world outside: venues, in their own protocols."""
