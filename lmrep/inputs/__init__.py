"""Weights and images: fetched, verified, and read."""
