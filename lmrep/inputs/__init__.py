"""Weights and images: sources, downloads and checks."""
