"""What a study asks for: its config as frozen dataclasses, checked before any job starts."""
