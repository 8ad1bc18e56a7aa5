"""Measures on images and tables of them, on arrays and without torch."""
