"""Trains the small models that ship with the project."""
