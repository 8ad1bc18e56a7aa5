"""Every figure of a study, drawn from run files and tables, without torch."""
