"""The explorer: one page without network to look through all pictures of a study."""
