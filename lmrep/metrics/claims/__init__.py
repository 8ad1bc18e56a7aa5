"""The article's sentences, each with a number, an interval and a verdict for each model of a study."""
