"""Gradient descent on the pixels of an image."""
