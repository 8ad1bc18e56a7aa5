"""A stem in front of a stack of transformer blocks, with the output of every block."""
